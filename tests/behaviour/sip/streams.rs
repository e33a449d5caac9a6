//! The door over TCP and TLS.

use najda::client::Identity;
use najda::edge::tls::Role;
use tokio::io::AsyncRead;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;

/// Reads one answer from a stream: ours have no body.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let byte = timeout(WAIT, stream.read_u8()).await.expect("an answer in time").unwrap();
        text.push(byte);
    }
    Answer(String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_stream_are_answered_in_their_order_however_they_are_cut() {
    let telephony = Telephony::start().await;
    let mut stream = TcpStream::connect(telephony.addr(Transport::Tcp)).await.unwrap();
    let ids = ["a@gw", "b@gw", "c@gw"];
    let all: String =
        ids.iter().map(|id| call(id).bytes()).collect::<Vec<_>>().concat() + "\r\n\r\n" + &call("k@gw").bare("OPTIONS").bytes();
    for piece in all.as_bytes().chunks(700) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    for id in ids {
        let answer = answer(&mut stream).await;
        assert_eq!((answer.first("Call-ID"), answer.targets()), (Some(id), POLICE.to_vec()));
    }
    let mut pong = [0; 2];
    timeout(WAIT, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"\r\n");
    assert_eq!(answer(&mut stream).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_messages_cannot_be_told_apart_is_answered_and_ends() {
    let telephony = Telephony::start().await;
    for (bytes, status) in [
        (call("a@gw").bytes().replace("Content-Length: ", "Content-Length: x"), 400),
        (call("a@gw").bytes().replace("Content-Length: ", "Content-Length: 9999"), 302),
    ] {
        let mut stream = TcpStream::connect(telephony.addr(Transport::Tcp)).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await.status(), status);
        let mut rest = Vec::new();
        // A peer that still writes may hear a reset instead of an end.
        let _ = timeout(WAIT, stream.read_to_end(&mut rest)).await.expect("the end in time");
        assert!(rest.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_says_nothing_ends() {
    let telephony =
        Telephony::with(Keep::InMemory(MemoryDisk::default()), |config| config.silent_wait = std::time::Duration::from_millis(20)).await;
    let mut stream = TcpStream::connect(telephony.addr(Transport::Tcp)).await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(timeout(WAIT, stream.read_to_end(&mut rest)).await.unwrap().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_certificate_names_the_trunk_and_whoever_has_none_is_answered_too() {
    let telephony = Telephony::start().await;
    let with = telephony.running.certs.identity(&Role::parse("load-test/gateway/lt").unwrap()).unwrap();
    for (id, identity) in [("a@gw", Some(with)), ("b@gw", None)] {
        let mut stream = tls(&telephony, identity.as_ref()).await;
        stream.write_all(call(id).bytes().as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await.targets(), POLICE);
    }
    until("both are in the journal", || telephony.contacts().len() == 2).await;
    let trunks: Vec<_> = telephony.contacts().iter().map(|contact| (contact.trunk, contact.load_test)).collect();
    assert_eq!(trunks, [(Some(name("lt")), true), (None, false)]);
}

async fn tls(telephony: &Telephony, identity: Option<&Identity>) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let roots = telephony.running.certs.server().unwrap().roots().unwrap();
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(identity) => config.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key()).unwrap(),
        None => config.with_no_client_auth(),
    };
    let stream = TcpStream::connect(telephony.addr(Transport::Tls)).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}
