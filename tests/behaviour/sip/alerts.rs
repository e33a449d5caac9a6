//! Alerts that speak of earlier ones: an update is news of the same contact, a cancel ends none.

use najda::contact::Signal;
use najda::deliver::{ConsoleHears, HangUp};

use super::*;
use crate::sip::late::{seat, wanted};

/// A CAP document of one panel's centre.
pub fn alert(identifier: &str, kind: &str, references: &str, (lat, lon): (f64, f64), words: &str) -> String {
    let references = if references.is_empty() { String::new() } else { format!("<references>{references}</references>") };
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{identifier}</identifier><sender>panel@tl.example</sender>\
         <sent>2026-01-01T00:00:00+00:00</sent><status>Actual</status><msgType>{kind}</msgType><scope>Private</scope>{references}<info>\
         <category>Fire</category><event>Fire alarm</event><urgency>Immediate</urgency><severity>Severe</severity>\
         <certainty>Observed</certainty><headline>{words}</headline><area><areaDesc>Tower</areaDesc><circle>{lat},{lon} 0.1</circle>\
         </area></info></alert>"
    )
}

pub const CAPITAL: (f64, f64) = (0.72, 0.45);
pub const NORTH: (f64, f64) = (0.80, 0.70);
/// As an alert is referred to.
pub const FIRST: &str = "panel@tl.example,p-1,2026-01-01T00:00:00+00:00";

fn message(id: &str, body: String) -> String {
    let more = "Content-Type: application/EmergencyCallData.cap+xml\r\n".into();
    Call { method: "MESSAGE", uri: "urn:service:sos.fire", more, body, ..call(id) }.bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_news_of_the_alert_it_speaks_of() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    assert_eq!(phone.ask(message("1@gw", alert("p-1", "Alert", "", CAPITAL, "Smoke"))).await.status(), 200);
    let update = alert("p-2", "Update", FIRST, NORTH, "It is the other tower");
    assert_eq!(phone.ask(message("2@gw", update.clone())).await.status(), 202);
    until("it is decided again", || telephony.engine().redecided == 1).await;
    let of_update = alert("p-3", "Update", "panel@tl.example,p-2,2026-01-01T00:00:00+00:00", NORTH, "A person is inside");
    assert_eq!(phone.ask(message("3@gw", of_update)).await.status(), 202);
    until("and again", || telephony.engine().redecided == 2).await;
    assert_eq!(telephony.engine().arrived, 1);
    let said = telephony.facts().into_iter().filter_map(|fact| match fact {
        Fact::Redecided { evidence, .. } => Some(evidence),
        _ => None,
    });
    let words: Vec<_> = said.flat_map(|evidence| evidence.signals).filter(|signal| matches!(signal, Signal::Words(_))).collect();
    assert!(words.contains(&Signal::Words("It is the other tower".into())) && words.contains(&Signal::Words("A person is inside".into())));
    // Of an alert that nobody knows: something happened all the same.
    let unknown = alert("p-9", "Update", "panel@tl.example,p-8,2026-01-01T00:00:00+00:00", CAPITAL, "Still burning");
    assert_eq!(phone.ask(message("9@gw", unknown)).await.status(), 200);
    until("it is a contact", || telephony.engine().arrived == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_cancelled_stays_with_whoever_holds_it_or_is_called_back() {
    let telephony = Telephony::start().await;
    let (capital, mut at_capital) = seat(&telephony, "console/TL-CAP-FIR/1").await;
    let phone = telephony.phone().await;
    phone.ask(message("1@gw", alert("p-1", "Alert", "", CAPITAL, "Smoke"))).await;
    let offer = wanted(&mut at_capital, |hears| if let ConsoleHears::Offer(offer) = hears { Some(offer.id) } else { None }).await;
    capital.take(offer).await.unwrap();
    wanted(&mut at_capital, |hears| matches!(hears, ConsoleHears::Taken { .. }).then_some(())).await;
    assert_eq!(phone.ask(message("c@gw", alert("p-c", "Cancel", FIRST, CAPITAL, "Dust from works"))).await.status(), 202);
    let gone =
        |hears| matches!(hears, ConsoleHears::CallerHungUp { contact, why: HangUp::Caller } if contact == offer.contact).then_some(());
    wanted(&mut at_capital, gone).await;
    until("its reason is told", || telephony.engine().redecided == 1).await;
    assert_eq!((telephony.engine().callbacks, telephony.engine().ended), (0, 0), "somebody holds it and decides");

    phone.ask(message("2@gw", alert("p-2", "Alert", "", CAPITAL, "Smoke again"))).await;
    let second = FIRST.replace("p-1", "p-2");
    assert_eq!(phone.ask(message("d@gw", alert("p-d", "Cancel", &second, CAPITAL, ""))).await.status(), 202);
    until("nobody had taken it: the centre is called back", || telephony.engine().callbacks == 1).await;
    assert_eq!((telephony.engine().arrived, telephony.engine().ended), (2, 0));

    // Another's alert, and nothing at all.
    for (id, references) in [("e@gw", "other@tl.example,p-2,2026-01-01T00:00:00+00:00"), ("f@gw", "")] {
        let answer = phone.ask(message(id, alert("p-e", "Cancel", references, CAPITAL, ""))).await;
        assert_eq!((answer.status(), answer.first("Warning").is_some()), (200, true));
    }
    phone.ask(call("g@gw").bytes()).await;
    until("what follows is with the engine", || telephony.engine().arrived == 3).await;
    assert_eq!((telephony.engine().callbacks, telephony.engine().unknown_contact), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_cancel_still_finds_its_alert() {
    let telephony = Telephony::with(Keep::InFiles, |_| {}).await;
    let alert_1 = message("1@gw", alert("p-1", "Alert", "", CAPITAL, "Smoke"));
    assert_eq!(telephony.phone().await.ask(alert_1).await.status(), 200);
    let folder = telephony.stop().await;
    let telephony = Telephony::of(Running::in_folder(folder, Keep::InFiles, Set::testland(), |_| {}).await, |_| {}).await;
    let cancel = message("c@gw", alert("p-c", "Cancel", FIRST, CAPITAL, "Dust from works"));
    assert_eq!(telephony.phone().await.ask(cancel).await.status(), 202);
    until("the centre is called back", || telephony.engine().callbacks == 1).await;
    telephony.stop().await;
}
