//! Values to bytes and back, without a socket.
//!
//! - [`frame`]: the framed messages of gateways and consoles, and the journal's entries. The only file that names bincode.
//! - [`checkpoint`]: what a restart needs of a journal.
//! - `layout` (private): which bytes each domain type becomes, in one table a reader can hold beside a capture.
//! - [`contact_json`], [`decision_json`], [`http`]: what scripts, apps, ops and `najda explain` read and write.
//! - [`eido`], [`feed`]: incidents as other systems read them, and what is said about them.
//! - [`reading`]: the messages of telephony, each read into one [`reading::Reading`] and from there into a `Contact`. Formats: [`sip`]
//!   (with [`call`], [`uri`], [`access`], [`passport`], [`multipart`]), [`pidf_lo`], [`lost`], [`held`], [`aml`], [`msd`], [`cap`];
//!   [`stated`] and [`xml`] are what the XML formats share, [`reading_json`] is what `najda read` prints.
//! - [`sip_stream`], [`sip_answer`], [`ecall`], [`dialog_info`], [`lost_answer`]: what doors need beside the
//!   reading of a contact.
//!
//! **Invariant:** domain types derive no format. A layout names every field and its type, so a field added to the domain does not
//! compile until somebody decides what it is on the wire.

pub mod frame;
mod layout;
pub mod checkpoint;
pub mod console_json;
pub mod contact_json;
pub mod decision_json;
pub mod http;
pub mod access;
pub mod aml;
pub mod call;
pub mod cap;
pub mod dialog_info;
pub mod ecall;
pub mod eido;
pub mod envelope;
pub mod feed;
pub mod held;
pub mod lost;
pub mod lost_answer;
pub mod msd;
pub mod multipart;
pub mod notes;
pub mod notification;
pub mod passport;
pub mod pidf_lo;
pub mod reading;
pub mod reading_json;
pub mod sip;
pub mod sip_answer;
pub mod sip_stream;
pub mod stated;
pub mod uri;
pub mod xml;
