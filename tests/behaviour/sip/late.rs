//! A phone that finds out during its call where it is, over a border: and what a person sees of it afterwards.

use std::process::Command;

use najda::client::{ConsoleClient, LinkConfig};
use najda::deliver::{ConsoleHears, OfferId};
use najda::edge::tls::Role;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::running::heard;

/// A room's seat.
pub async fn seat(telephony: &Telephony, role: &str) -> (ConsoleClient, mpsc::Receiver<ConsoleHears>) {
    let identity = telephony.running.certs.identity(&Role::parse(role).unwrap()).unwrap();
    let link = LinkConfig::new(telephony.running.node.addr(), "localhost", identity);
    ConsoleClient::connect(link, &[*b"en"], true, WAIT).await.unwrap()
}

/// The next thing that is wanted, whatever else is said before it.
pub async fn wanted<T>(hears: &mut mpsc::Receiver<ConsoleHears>, wanted: impl Fn(ConsoleHears) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(heard(hears).await) {
                return found;
            }
        }
    };
    timeout(WAIT, found).await.expect("what is wanted, in time")
}

/// The offer of this caller.
pub async fn offered(hears: &mut mpsc::Receiver<ConsoleHears>, line: &str) -> OfferId {
    let of_line = |hears| if let ConsoleHears::Offer(offer) = hears { Some(offer) } else { None };
    wanted(hears, |hears| of_line(hears).filter(|offer| offer.contact.line.as_deref() == Some(line)).map(|offer| offer.id)).await
}

/// In the capital, by half a kilometre.
fn call_in_the_capital(id: &str, line: &str) -> String {
    let circle = "<Circle xmlns=\"http://www.opengis.net/pidflo/1.0\" xmlns:g=\"http://www.opengis.net/gml\" \
        srsName=\"urn:ogc:def:crs:EPSG::4326\"><g:pos>0.72 0.45</g:pos><radius uom=\"urn:ogc:def:uom:EPSG::9001\">500</radius></Circle>";
    let place = place(0.0, 1.0);
    let (before, after) = place.split_once("<Point").unwrap();
    let body = format!("{before}{circle}{}", after.split_once("</Point>").unwrap().1);
    let made = call(id);
    Call { more: made.more.replace("+99955512345", line), body, ..made }.bytes()
}

/// In the north, by fifteen metres.
async fn report_from_the_north(telephony: &Telephony, number: &str) {
    let body = format!(
        "v=1&device_number=%2B{number}&location_latitude=0.80&location_longitude=0.70&location_accuracy=15&location_confidence=0.95"
    );
    let answer = telephony.running.app().post("/aml", "application/x-www-form-urlencoded", body).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_fix_over_a_border_moves_an_offer_nobody_has_taken_and_proposes_the_transfer_of_one_that_is_taken() {
    let telephony = Telephony::start().await;
    let (capital, mut at_capital) = seat(&telephony, "console/TL-CAP-POL/1").await;
    let (_north, mut at_north) = seat(&telephony, "console/TL-NOR-POL/1").await;
    let phone = telephony.phone().await;

    let answer = phone.ask(call_in_the_capital("a@gw", "+99955500001")).await;
    assert_eq!(answer.targets()[0], "sip:pol@cap.tl.example");
    let offer = offered(&mut at_capital, "+99955500001").await;
    report_from_the_north(&telephony, "99955500001").await;
    assert_eq!(offered(&mut at_north, "+99955500001").await, offer, "nobody had taken it: the north is asked");

    phone.ask(call_in_the_capital("b@gw", "+99955500002")).await;
    let taken = offered(&mut at_capital, "+99955500002").await;
    capital.take(taken).await.unwrap();
    wanted(&mut at_capital, |hears| matches!(hears, ConsoleHears::Taken { offer, .. } if offer == taken).then_some(())).await;
    report_from_the_north(&telephony, "99955500002").await;
    let proposed = |hears| if let ConsoleHears::Proposed { offer, to } = hears { Some((offer, to)) } else { None };
    assert_eq!(wanted(&mut at_capital, proposed).await, (taken, name("TL-NOR-POL")), "it stays where a person is, who hears of it");
    until("it is counted", || telephony.engine().transfers_proposed == 1).await;
}

fn trace(telephony: &Telephony, arguments: &[&str]) -> (bool, String) {
    let state = telephony.running.state();
    let output = Command::new(env!("CARGO_BIN_EXE_najda")).arg("trace").args(arguments).arg("--state").arg(state).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_call_is_told_in_stages_with_the_time_between_them() {
    let telephony = Telephony::with(Keep::InFiles, |_| {}).await;
    let (capital, mut at_capital) = seat(&telephony, "console/TL-CAP-POL/1").await;
    let phone = telephony.phone().await;
    phone.ask(call_in_the_capital("other@gw", "+99955500009")).await;
    phone.ask(call_in_the_capital("a@gw", "+99955500001")).await;
    let offer = offered(&mut at_capital, "+99955500001").await;
    capital.take(offer).await.unwrap();
    wanted(&mut at_capital, |hears| matches!(hears, ConsoleHears::Taken { .. }).then_some(())).await;
    report_from_the_north(&telephony, "99955500001").await;
    wanted(&mut at_capital, |hears| matches!(hears, ConsoleHears::Proposed { .. }).then_some(())).await;
    capital.accept(offer).await.unwrap();
    wanted(&mut at_capital, |hears| matches!(hears, ConsoleHears::Accepted { .. }).then_some(())).await;
    capital.close_offer(offer, "done").await.unwrap();
    until("it has ended", || telephony.engine().ended == 1).await;
    until("the rows show it", || trace(&telephony, &["--call-id", "a@gw", "--json"]).1.contains("\"ended\":\"closed\"")).await;

    let told: Value = serde_json::from_str(&trace(&telephony, &["--caller", "0099955500001", "--json"]).1).unwrap();
    let log = std::fs::read_to_string(telephony.running.state().join("access.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("0099955500001"), "who asked for it is on record: {log}");
    let stages = told["stages"].as_array().unwrap();
    let words: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(words, ["arrived", "decided", "taken", "evidence", "proposed", "accepted", "closed", "ended"]);
    assert_eq!((told["caller"].as_str(), told["ended"].as_str()), (Some("+99955500001"), Some("closed")));
    let reasons = stages[1]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason == "owner: TL-CAP"), "the rules that decided are told: {reasons:?}");
    assert!(stages[4]["what"].as_str().unwrap().starts_with("from TL-CAP-POL; police TL-NOR-POL leads"), "{}", stages[4]);
    let (mut since, mut sum) = (0.0, 0.0);
    for stage in stages {
        sum += stage["after_ms"].as_f64().unwrap();
        assert!(stage["since_ms"].as_f64().unwrap() >= since && (stage["since_ms"].as_f64().unwrap() - sum).abs() < 1e-3, "{stage}");
        since = stage["since_ms"].as_f64().unwrap();
    }

    let (found, text) = trace(&telephony, &["--call-id", "a@gw"]);
    assert!(found && text.lines().count() == 9 && text.contains("police at TL-CAP-POL/1: done"), "{text}");
    assert_eq!(trace(&telephony, &["--caller", "+99955500009"]).1.lines().last(), Some("  not ended"));
    assert_eq!(trace(&telephony, &["--call-id", "a"]), (false, String::new()), "another's Call-ID is not meant");
    telephony.stop().await;
}
