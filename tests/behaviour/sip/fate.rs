//! What comes after a call, and what is no call but speaks of one: hang-ups, data, words, alerts.

use super::*;
use najda::deliver::HangUp;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_before_anyone_answered_is_called_back() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    let answer = phone.ask(call("a@gw").bare("CANCEL").bytes()).await;
    assert_eq!(answer.status(), 200);
    until("there is a callback", || telephony.engine().callbacks == 1).await;
    until("the journal says why", || {
        telephony.facts().iter().any(|fact| matches!(fact, Fact::HungUp { why: HangUp::Caller, callback: true, .. }))
    })
    .await;
    assert_eq!(phone.ask(call("nobody@gw").bare("CANCEL").bytes()).await.status(), 481);
    // Another branch was answered: the caller is speaking to somebody.
    phone.ask(call("b@gw").bytes()).await;
    let elsewhere = Call { more: "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n".into(), ..call("b@gw").bare("CANCEL") };
    assert_eq!(phone.ask(elsewhere.bytes()).await.status(), 200);
    phone.ask(call("c@gw").bytes()).await;
    phone.ask(call("c@gw").bare("BYE").bytes()).await;
    until("the third is called back too", || telephony.engine().callbacks == 2).await;
    assert_eq!((telephony.engine().arrived, telephony.engine().out_of_turn), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_a_dialog_is_answered_as_the_standard_asks() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    assert_eq!(phone.ask(Call { to_tag: ";tag=x", cseq: 2, ..call("a@gw").bare("BYE") }.bytes()).await.status(), 200);
    assert_eq!(phone.ask(Call { to_tag: ";tag=x", ..call("nobody@gw").bare("BYE") }.bytes()).await.status(), 481);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_about_a_call_joins_it_and_data_about_nothing_is_a_contact() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    phone.ask(call("a@gw").bytes()).await;
    let more = Call { method: "INFO", to_tag: ";tag=x", cseq: 2, body: place(0.80, 0.70), ..call("a@gw") };
    assert_eq!(phone.ask(more.bytes()).await.status(), 200);
    until("it is decided again", || telephony.engine().redecided == 1).await;
    assert_eq!(telephony.engine().arrived, 1);
    // The answer to the call itself stays what it was.
    assert_eq!(phone.ask(call("a@gw").bytes()).await.targets(), POLICE);
    let keys = Call {
        method: "INFO",
        to_tag: ";tag=x",
        more: "Content-Type: application/dtmf-relay\r\n".into(),
        body: "Signal=5\r\n".into(),
        ..call("c@gw")
    };
    assert_eq!(phone.ask(keys.bytes()).await.status(), 481, "nothing in it is for us");
    let alone = Call { method: "INFO", to_tag: ";tag=x", ..call("b@gw") };
    assert_eq!(phone.ask(alone.bytes()).await.status(), 200, "its call is not known, its place is");
    until("it is a contact", || telephony.engine().arrived == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_answered_once_the_journal_holds_it() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let text = Call::text("m@gw", "there is a fire in the kitchen");
    let answer = phone.ask(text.bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert!(answer.0.contains("purpose=emergency-CallId"));
    let contact = telephony.contacts().remove(0);
    assert!(contact.signals.iter().any(|signal| matches!(signal, najda::contact::Signal::Words(words) if words.contains("kitchen"))));
    assert_eq!(phone.ask(text.bytes()).await.status(), 200, "again is the same text");
    let more = Call { cseq: 2, ..Call::text("m@gw", "my leg is broken") };
    assert_eq!(phone.ask(more.bytes()).await.status(), 200);
    until("the second text joins the first", || telephony.engine().redecided == 1).await;
    assert_eq!(telephony.engine().arrived, 1);
    // Words in a call's own dialog join the call.
    phone.ask(call("a@gw").bytes()).await;
    assert_eq!(phone.ask(Call { to_tag: ";tag=x", ..Call::text("a@gw", "I cannot speak") }.bytes()).await.status(), 200);
    until("they join the call", || telephony.engine().redecided == 2).await;
    assert_eq!(telephony.engine().arrived, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_journal_is_slow_a_text_is_accepted_and_not_promised() {
    let telephony = Telephony::start().await;
    let memory = telephony.running.memory.clone().unwrap();
    memory.inject(Fault::Stall);
    let phone = telephony.phone().await;
    let text = Call::text("m@gw", "fire");
    assert_eq!(phone.ask(text.bytes()).await.status(), 202);
    memory.release();
    until("it is there", || !telephony.contacts().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_a_contact_and_one_that_is_over_costs_no_call() {
    let telephony = Telephony::start().await;
    let phone = telephony.phone().await;
    let alert = |expires: &str| {
        format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>p-1</identifier><sender>panel@tl.example</sender>\
             <sent>2026-01-01T00:00:00+00:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Private</scope><info>\
             <category>Fire</category><event>Fire alarm</event><urgency>Immediate</urgency><severity>Severe</severity>\
             <certainty>Observed</certainty><expires>{expires}</expires><area><areaDesc>Tower</areaDesc><circle>0.72,0.45 0.1</circle>\
             </area></info></alert>"
        )
    };
    let message = |id: &str, body: String| Call {
        method: "MESSAGE",
        uri: "urn:service:sos.fire",
        more: "Content-Type: application/EmergencyCallData.cap+xml\r\n".into(),
        body,
        ..call(id)
    };
    assert_eq!(phone.ask(message("p@gw", alert("2999-01-01T00:00:00+00:00")).bytes()).await.status(), 200);
    until("it is a contact", || telephony.engine().arrived == 1).await;
    assert_eq!(phone.ask(message("q@gw", alert("2020-01-01T00:00:00+00:00")).bytes()).await.status(), 200);
    let call = Call { method: "INVITE", ..message("r@gw", alert("2020-01-01T00:00:00+00:00")) };
    assert_eq!(phone.ask(call.bytes()).await.status(), 302, "the alert is over, the caller is on the line");
    until("the call is a contact, the old alert is none", || telephony.engine().arrived == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quic_gateway_cannot_speak_of_calls_of_this_door() {
    let telephony = Telephony::start().await;
    telephony.phone().await.ask(call("a@gw").bytes()).await;
    until("the call is there", || !telephony.contacts().is_empty()).await;
    let key = telephony.contacts().remove(0).key.clone();
    let (gateway, _hears) = telephony.running.gateway("gateway/g1").await;
    gateway.hung_up(key, HangUp::Caller).await.unwrap();
    until("it is refused", || telephony.engine().unknown_contact + telephony.engine().out_of_turn == 1).await;
    assert_eq!(telephony.engine().callbacks, 0);
}
