//! Real trouble: kill -9, a full disk, a failing write, a failing sync, a power cut.
//!
//! The store runs in a child, which is this test binary again with [`CHILD`] set. What a test needs and the machine lacks (root, a
//! mount, strace) is said and counted, never passed over in silence.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use najda::edge::store::embedded::{Config, EmbeddedStore};
use najda::journal::Entry;
use najda::store::{Batch, Notice, Store, StoreError};
use tempfile::TempDir;

use super::rig::{Open, await_that, entry, held, listener, partition};

/// Names the folder the child writes to, and makes it a child.
const CHILD: &str = "NAJDA_TEST_JOURNAL_FOLDER";
/// How many entries the child writes; unset for no end.
const CHILD_ENTRIES: &str = "NAJDA_TEST_JOURNAL_ENTRIES";
/// Begins what the child says.
const SAYS: &str = "journal: ";

fn skip(what: &str, why: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let _ = writeln!(std::io::stderr(), "skipped {count}: {what}: {why}");
}

fn open(folder: &Path) -> Open<EmbeddedStore> {
    let (listener, heard) = listener();
    Open::new(EmbeddedStore::open(Config::new(folder), listener).unwrap(), heard)
}

/// An entry wide enough that a few thousand fill a small disk.
fn wide(seq: u64) -> Entry {
    Entry { bytes: vec![seq as u8; 1_000], ..entry(seq) }
}

/// As the child: appends single entries as fast as they are held, and says on its output what it hears.
#[test]
fn a_child_writes_until_it_is_stopped() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let most: Option<u64> = std::env::var(CHILD_ENTRIES).ok().and_then(|most| most.parse().ok());
    let open = open(Path::new(&folder));
    let mut out = std::io::stdout().lock();
    let mut next = open.claim.next_seq;
    let last = most.map_or(u64::MAX, |most| next + most - 1);
    let mut held_seq = next - 1;
    while held_seq < last {
        while next <= last && next < held_seq + 40 {
            let batch = Batch::new(&open.claim, vec![wide(next)]).unwrap();
            open.store.append(batch).unwrap();
            next += 1;
        }
        match open.next_notice() {
            Notice::Durable(receipt) => {
                held_seq = receipt.through_seq();
                writeln!(out, "{SAYS}held {held_seq} {}", wall_nanos()).unwrap();
            }
            Notice::Failed { through_seq, why, .. } => writeln!(out, "{SAYS}failed {through_seq} {why}").unwrap(),
            Notice::Recovered { .. } => writeln!(out, "{SAYS}recovered {held_seq}").unwrap(),
            other => writeln!(out, "{SAYS}heard {held_seq} {other:?}").unwrap(),
        }
        out.flush().unwrap();
    }
}

/// The wall clock, which the child shares with whoever cuts its power.
fn wall_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// The command line that makes a child of this binary.
fn child_line() -> (PathBuf, [&'static str; 3]) {
    let binary = std::env::current_exe().unwrap();
    (binary, ["store::disk::a_child_writes_until_it_is_stopped", "--exact", "--nocapture"])
}

fn spawn(mut command: Command, folder: &Path, most: Option<u64>) -> Child {
    command.env(CHILD, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(most) = most {
        command.env(CHILD_ENTRIES, most.to_string());
    }
    command.spawn().unwrap()
}

/// What the child said, as words and sequence numbers.
fn said(child: &mut Child) -> impl Iterator<Item = (String, u64, String)> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.filter_map(|line| {
        // The test harness has lines of its own, and begins the first of ours.
        let (_, line) = line.split_once(SAYS)?;
        let mut words = line.splitn(3, ' ');
        let (word, seq) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some((word, seq, words.next().unwrap_or_default().to_owned()))
    })
}

/// Opens what is left and checks that everything acknowledged is there, whole and in order.
fn check_survived(folder: &Path, acknowledged: u64) -> Open<EmbeddedStore> {
    let open = open(folder);
    let page = held(&open.store);
    assert_eq!((page.breaks, page.holes), (vec![], vec![]));
    assert!(page.entries.len() as u64 >= acknowledged, "{} of {acknowledged} acknowledged entries survived", page.entries.len());
    assert!(page.entries.iter().zip(1..).all(|(found, seq)| *found == wide(seq)));
    let found = open.store.verify(partition()).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(open.claim.next_seq, page.entries.len() as u64 + 1);
    open
}

#[test]
fn acknowledged_entries_survive_kill_nine() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let (binary, line) = child_line();
        let mut command = Command::new(binary);
        command.args(line);
        let mut child = spawn(command, &state, None);
        // A different number each time, so that the kill falls at different moments of a commit and of a checkpoint.
        let enough = acknowledged + 37 + round * round * 61;
        let mut said = said(&mut child);
        for (word, seq, _) in said.by_ref() {
            assert_eq!(word, "held");
            acknowledged = seq;
            if seq >= enough {
                break;
            }
        }
        child.kill().unwrap();
        // What it said before it died counts as well.
        acknowledged = said.map(|(_, seq, _)| seq).last().unwrap_or(acknowledged).max(acknowledged);
        child.wait().unwrap();
        assert!(acknowledged >= enough, "round {round}");
        drop(check_survived(&state, acknowledged));
    }
}

#[test]
fn a_failed_write_ends_the_file_and_the_next_one_takes_over() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let (binary, line) = child_line();
    // No file of the child may grow beyond 2 MiB: the write that would fails, as on a failing disk, and so each file fails in turn.
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "bash"]).arg(binary).args(line);
    let mut child = spawn(command, &state, Some(4_000));
    let (mut failed, mut recovered, mut held) = (0, 0, 0);
    for (word, seq, why) in said(&mut child) {
        match word.as_str() {
            "held" => held = seq,
            "failed" => {
                assert_eq!(seq, held, "nothing is held but what was acknowledged");
                assert!(why.contains("the disk failed to"), "{why}");
                failed += 1;
            }
            "recovered" => recovered += 1,
            other => panic!("{other} {seq} {why}"),
        }
    }
    child.wait().unwrap();
    assert_eq!(held, 4_000, "every contact's entries are held in the end");
    assert!(failed >= 1 && failed == recovered, "failed {failed} times, recovered {recovered} times");
    let open = check_survived(&state, 4_000);
    assert!(open.store.health().segment_number > 1);
}

#[test]
fn a_failed_sync_is_never_tried_again_on_its_file() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let log = folder.path().join("calls");
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip("a failing sync", "strace is not installed");
    }
    let (binary, line) = child_line();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=40"]);
    command.arg("-o").arg(&log).arg(binary).args(line);
    let mut child = spawn(command, &state, Some(1_500));
    let heard: Vec<_> = said(&mut child).collect();
    child.wait().unwrap();
    if heard.is_empty() {
        return skip("a failing sync", "strace may not trace here");
    }
    assert_eq!(heard.last().map(|(word, seq, _)| (word.as_str(), *seq)), Some(("held", 1_500)));
    assert_eq!(heard.iter().filter(|(word, ..)| word == "failed").count(), 1);
    let calls = fs::read_to_string(&log).unwrap();
    let (before, after) = calls.split_once("EIO").expect("a sync was made to fail");
    let failed = before.lines().last().and_then(|line| line.split_once("journal-")).expect("a journal file's sync failed").1;
    let file = format!("journal-{}.db", &failed[..6]);
    assert!(before.contains(&file));
    assert!(!after.contains(&file), "{file} was synced again after its sync had failed:\n{after}");
    drop(check_survived(&state, 1_500));
}

/// A file system of its own, unmounted at the end.
struct Mounted {
    at: PathBuf,
    _folder: TempDir,
}

impl Mounted {
    /// `None`, said and counted, when this machine does not let us.
    fn new(what: &str, prepare: impl FnOnce(&Path) -> bool, options: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let at = folder.path().join("mounted");
        fs::create_dir(&at).unwrap();
        let prepared = prepare(folder.path());
        let mount = || Command::new("mount").args(options(folder.path())).arg(&at).stderr(Stdio::null()).status();
        if prepared && mount().is_ok_and(|status| status.success()) {
            return Some(Self { at, _folder: folder });
        }
        skip(what, "no file system can be mounted here");
        None
    }

    fn unmount(&self) {
        let _ = Command::new("umount").arg(&self.at).stderr(Stdio::null()).status();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}

#[test]
fn a_full_disk_is_told_plainly_and_got_over_when_there_is_space_again() {
    let tmpfs = |_: &Path| ["-t", "tmpfs", "-o", "size=4m", "tmpfs"].map(str::to_owned).to_vec();
    let Some(disk) = Mounted::new("a full disk", |_| true, tmpfs) else { return };
    let ballast = disk.at.join("ballast");
    fs::write(&ballast, vec![1; 2 * 1024 * 1024]).unwrap();
    let open = open(&disk.at.join("state"));
    let mut next = 1;
    let mut append = |count: u64| {
        let some = (next..next + count).map(wide).collect();
        open.store.append(Batch::new(&open.claim, some).unwrap()).unwrap();
        next += count;
        next - 1
    };
    let mut held_seq = 0;
    let (through_seq, why) = loop {
        let last = append(50);
        match open.next_notice() {
            Notice::Durable(receipt) => {
                held_seq = receipt.through_seq();
                assert_eq!(held_seq, last);
            }
            Notice::Failed { through_seq, why, .. } => break (through_seq, why),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(through_seq, held_seq, "nothing is held but what was acknowledged");
    assert!(matches!(why, StoreError::DiskFull { .. }) && why.retry_is_safe(), "{why:?}");
    assert!(why.to_string().starts_with("the disk is full, the store could not commit"), "{why}");
    assert!(!open.store.health().writing);
    // Contacts keep flowing: what they say waits in memory.
    let last = (0..20).map(|_| append(1)).last().unwrap();
    assert_eq!(open.store.health().backlog_entry_count, last - held_seq);
    fs::remove_file(&ballast).unwrap();
    let told = open.await_receipt(last);
    assert!(matches!(told.as_slice(), [Notice::Recovered { .. }]), "{told:?}");
    let health = open.store.health();
    assert!(health.writing && health.segment_number == 1, "a full disk does not end the file: {health:?}");
    drop(open);
    drop(check_survived(&disk.at.join("state"), last));
}

#[test]
fn a_journal_that_ends_on_a_full_disk_says_what_is_not_known_to_be_held() {
    let tmpfs = |_: &Path| ["-t", "tmpfs", "-o", "size=2m", "tmpfs"].map(str::to_owned).to_vec();
    let Some(disk) = Mounted::new("ending on a full disk", |_| true, tmpfs) else { return };
    let open = open(&disk.at.join("state"));
    let some = (1..=8_000).map(|seq| Entry { bytes: vec![7; 500], ..entry(seq) }).collect();
    open.store.append(Batch::new(&open.claim, some).unwrap()).unwrap();
    assert!(matches!(open.next_notice(), Notice::Failed { through_seq: 0, .. }));
    let Open { store, heard, .. } = open;
    store.close();
    let told: Vec<Notice> = heard.try_iter().collect();
    assert!(matches!(told.as_slice(), [Notice::Unknown { span }] if (span.first_seq, span.last_seq) == (1, 8_000)), "{told:?}");
}

#[test]
fn acknowledged_entries_survive_a_power_cut() {
    let image = |folder: &Path| {
        let path = folder.join("image");
        fs::File::create(&path).unwrap().set_len(64 * 1024 * 1024).unwrap();
        Command::new("mkfs.ext4").arg("-q").arg(&path).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let options = |folder: &Path| vec!["-o".to_owned(), "loop".to_owned(), folder.join("image").to_string_lossy().into_owned()];
    let Some(disk) = Mounted::new("a power cut", image, options) else { return };
    let state = disk.at.join("state");
    let (binary, line) = child_line();
    let mut command = Command::new(binary);
    command.args(line);
    let mut child = spawn(command, &state, None);
    let mut heard: Vec<(u64, u128)> = Vec::new();
    let mut said = said(&mut child);
    let mut hear = |(word, seq, at): (String, u64, String)| {
        assert_eq!(word, "held");
        heard.push((seq, at.parse().unwrap()));
        seq
    };
    while said.by_ref().next().map(&mut hear).is_some_and(|seq| seq < 700) {}
    // EXT4_IOC_SHUTDOWN without flushing the log: what was not synced is gone, as when the power fails.
    let cut = "import fcntl, os, struct, sys, time
disk = os.open(sys.argv[1], os.O_RDONLY)
print(time.time_ns(), flush=True)
fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))";
    let done = Command::new("python3").args(["-c", cut]).arg(&disk.at).stderr(Stdio::null()).output();
    let cut_at = done.ok().filter(|done| done.status.success()).and_then(|done| String::from_utf8(done.stdout).ok()?.trim().parse().ok());
    if cut_at.is_some() {
        // Receipts given before the cut may still be in the pipe; the child learns of the cut by a failed write.
        said.by_ref().take_while(|(word, ..)| word == "held").for_each(|line| _ = hear(line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let Some(cut_at) = cut_at else { return skip("a power cut", "the file system cannot be stopped") };
    // Only receipts given before the cut count. A machine without power gives none after it, but this one goes on running, and a sync
    // that races the ioctl may be told it succeeded: bare appends without a journal lose such acknowledgements as well.
    let acknowledged = heard.iter().filter(|(_, at)| *at < cut_at).map(|(seq, _)| *seq).max().unwrap_or(0);
    disk.unmount();
    let image = disk.at.with_file_name("image");
    await_that("the disk comes back", || {
        let mount = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&disk.at).stderr(Stdio::null()).status();
        mount.is_ok_and(|status| status.success())
    });
    assert!(acknowledged >= 700);
    let open = check_survived(&state, acknowledged);
    let told = heard.last().map_or(0, |(seq, _)| *seq);
    let held = open.claim.next_seq - 1;
    let _ = writeln!(std::io::stderr(), "power cut: told {acknowledged} before it and {told} in all, {held} survived");
}
