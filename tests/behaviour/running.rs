//! A running engine in this process, with both doors open on loopback: for the tests of HTTP, publication and the journal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use najda::client::http::{HttpAnswer, HttpClient};
use najda::client::{GatewayClient, LinkConfig};
use najda::deliver::GatewayHears;
use najda::edge::certs::DevCerts;
use najda::edge::ingress::http::{HttpConfig, HttpDoor};
use najda::edge::run::{Node, NodeConfig, OpenStore, Tuning};
use najda::edge::store::memory::{MemoryDisk, MemoryStore};
use najda::edge::tables::{Loaded, load_files, read_folder};
use najda::edge::tls::Role;
use najda::edge::tokens::{DEV_TOKEN_FILE, TOKENS_FILE};
use najda::engine;
use najda::tables::snapshot::Tables;
use najda::tables::source::Files;
use najda::units::Name;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub const WAIT: Duration = Duration::from_secs(30);
pub const ROLES: [&str; 7] = [
    "gateway/g1",
    "gateway/app-1",
    "load-test/gateway/lt",
    "console/TL-CAP-FIR/1",
    "console/TL-CAP-POL/1",
    "console/TL-NOR-POL/1",
    "ops/sara",
];

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name in a test is short and visible")
}

/// The rows of the invented country.
pub fn testland() -> Files {
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("routing-tables/testland")).unwrap()
}

/// A set that was built once, in its compiled bytes.
#[derive(Clone)]
pub struct Set {
    pub tables: Arc<Tables>,
    pub bytes: Vec<u8>,
}

impl Set {
    pub fn of(files: &Files) -> Self {
        let Loaded { tables, bytes } = load_files(files).unwrap();
        Self { tables, bytes }
    }

    pub fn testland() -> Self {
        static SET: OnceLock<Set> = OnceLock::new();
        SET.get_or_init(|| Self::of(&testland())).clone()
    }
}

/// Where the journal is kept.
pub enum Keep {
    By(OpenStore),
    InFiles,
    InMemory(MemoryDisk),
}

pub struct Running {
    pub folder: Arc<tempfile::TempDir>,
    pub certs: DevCerts,
    pub node: Node,
    pub door: HttpDoor,
    /// When the journal is kept in memory.
    pub memory: Option<Arc<MemoryStore>>,
}

impl Running {
    pub async fn start(keep: Keep, set: Set) -> Self {
        Self::with(keep, set, |_| {}).await
    }

    pub async fn with(keep: Keep, set: Set, change: impl FnOnce(&mut HttpConfig)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::in_folder(folder, keep, set, change).await
    }

    pub async fn in_folder(folder: Arc<tempfile::TempDir>, keep: Keep, set: Set, change: impl FnOnce(&mut HttpConfig)) -> Self {
        Self::tuned(folder, keep, set, Tuning::default(), change).await
    }

    pub async fn tuned(folder: Arc<tempfile::TempDir>, keep: Keep, set: Set, tuning: Tuning, change: impl FnOnce(&mut HttpConfig)) -> Self {
        let certs = DevCerts::make(&folder.path().join("certs"), &ROLES.map(|role| Role::parse(role).unwrap())).unwrap();
        let state = folder.path().join("state");
        najda::edge::run::prepare_state_folder(&state).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let memory = Arc::new(Mutex::new(None));
        let open: OpenStore = match keep {
            Keep::By(open) => open,
            Keep::InFiles => najda::cli::serve::open_embedded(&state),
            Keep::InMemory(disk) => {
                let memory = Arc::clone(&memory);
                Box::new(move |listener| {
                    let store = Arc::new(MemoryStore::open(disk, listener));
                    *memory.lock().unwrap() = Some(Arc::clone(&store));
                    Ok(store)
                })
            }
        };
        let identity = certs.server().unwrap();
        let config = NodeConfig {
            listen: any,
            state_folder: state.clone(),
            identity: identity.clone(),
            engine: engine::Config::default(),
            engine_cores: Vec::new(),
        };
        let node = Node::start_with(config, set.tables, &set.bytes, open, tuning).unwrap();
        let mut config = HttpConfig::new(any, identity, certs.folder.join(TOKENS_FILE), state);
        // The machine that runs the tests may be busy; the engine's own `Overdue` still comes after a tenth of a second.
        config.journal_wait = Duration::from_secs(10);
        change(&mut config);
        let door = HttpDoor::start(config, &node).await.unwrap();
        let memory = memory.lock().unwrap().take();
        Self { folder, certs, node, door, memory }
    }

    /// Stops in good order and gives back the folder, to start again in.
    pub async fn stop(self) -> Arc<tempfile::TempDir> {
        self.door.shutdown().await;
        self.node.shutdown().await;
        self.folder
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn base(&self) -> String {
        format!("https://localhost:{}", self.door.local_addr().port())
    }

    pub fn dev_token(&self) -> String {
        std::fs::read_to_string(self.certs.folder.join(DEV_TOKEN_FILE)).unwrap()
    }

    pub fn as_role(&self, role: &str) -> HttpClient {
        let identity = self.certs.identity(&Role::parse(role).unwrap()).unwrap();
        HttpClient::with_certificate(&self.base(), &identity).unwrap()
    }

    pub fn with_token(&self, token: Option<&str>) -> HttpClient {
        HttpClient::with_token(&self.base(), &self.certs.server().unwrap().authority, token).unwrap()
    }

    pub fn app(&self) -> HttpClient {
        self.with_token(Some(&self.dev_token()))
    }

    pub async fn gateway(&self, role: &str) -> (GatewayClient, mpsc::Receiver<GatewayHears>) {
        let identity = self.certs.identity(&Role::parse(role).unwrap()).unwrap();
        GatewayClient::connect(LinkConfig::new(self.node.addr(), "localhost", identity), WAIT).await.unwrap()
    }
}

pub async fn post(client: &HttpClient, body: &str) -> (u16, serde_json::Value) {
    read(client.post("/v1/contacts", "application/json", body.to_owned()).await.unwrap())
}

pub fn read(answer: HttpAnswer) -> (u16, serde_json::Value) {
    let value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"));
    (answer.status, value)
}

/// Waits for a condition that another thread makes true.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < WAIT, "waited too long: {what}");
        tokio::task::yield_now().await;
    }
}

pub async fn heard<T>(hears: &mut mpsc::Receiver<T>) -> T {
    timeout(WAIT, hears.recv()).await.expect("something in time").expect("an open line")
}
