//! Phones by their IMEI: a caller without a number is found by the device, in whichever order call and report come.
//!
//! Calls of the SIP door say the IMEI of a phone without a SIM; a phone's report of its place says it too. The engine knows lines and
//! keys, so the two meet here. Both sides are bounded in number and time; a restart forgets them, as it would a call that is over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contact::ContactKey;
use crate::deliver::Evidence;
use crate::limits::{DEVICE_MICROS_MAX, DEVICES_MAX, ORPHAN_WAIT_MICROS_MAX};
use crate::units::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Devices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    devices: BTreeMap<Box<str>, Device>,
    order: VecDeque<(Timestamp, Box<str>)>,
}

#[derive(Debug)]
struct Device {
    at: Timestamp,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Call(ContactKey),
    Place(Evidence),
}

impl Devices {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of this device. What it reported shortly before is given back.
    pub fn called(&self, imei: &str, key: ContactKey, now: Timestamp) -> Option<Evidence> {
        let before = self.lock().put(imei, Said::Call(key), now)?;
        match before.said {
            Said::Place(evidence) if now.micros_since(before.at) <= ORPHAN_WAIT_MICROS_MAX => Some(evidence),
            Said::Call(_) | Said::Place(_) => None,
        }
    }

    /// A report of this device: the call it is about and the report again, or nothing when its call is still to come.
    pub fn reported(&self, imei: &str, evidence: Evidence, now: Timestamp) -> Option<(ContactKey, Evidence)> {
        let mut known = self.lock();
        if let Some(Device { at, said: Said::Call(key) }) = known.devices.get(imei)
            && now.micros_since(*at) <= DEVICE_MICROS_MAX
        {
            return Some((key.clone(), evidence));
        }
        drop(known.put(imei, Said::Place(evidence), now));
        None
    }
}

impl Known {
    fn put(&mut self, imei: &str, said: Said, now: Timestamp) -> Option<Device> {
        while let Some((at, _)) = self.order.front() {
            let is_over = now.micros_since(*at) > DEVICE_MICROS_MAX;
            if !is_over && self.order.len() < DEVICES_MAX {
                break;
            }
            let Some((at, imei)) = self.order.pop_front() else { break };
            if self.devices.get(&imei).is_some_and(|device| device.at == at) {
                self.devices.remove(&imei);
            }
        }
        self.order.push_back((now, imei.into()));
        self.devices.insert(imei.into(), Device { at: now, said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Signal;
    use crate::units::Name;

    fn key(reference: &str) -> ContactKey {
        ContactKey { gateway: Name::new("sip/door").unwrap(), gateway_ref: reference.into() }
    }

    fn evidence() -> Evidence {
        Evidence { signals: vec![Signal::MenuKey(1)], ..Evidence::default() }
    }

    const fn secs(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + secs)
    }

    #[test]
    fn a_call_and_a_report_of_one_device_meet_in_either_order() {
        let devices = Devices::default();
        assert_eq!(devices.called("1", key("a"), secs(0)), None);
        assert_eq!(devices.reported("1", evidence(), secs(20)), Some((key("a"), evidence())));
        assert_eq!(devices.reported("2", evidence(), secs(20)), None);
        assert_eq!(devices.called("2", key("b"), secs(25)), Some(evidence()));
        assert_eq!(devices.called("2", key("c"), secs(26)), None, "it is told once");
    }

    #[test]
    fn neither_an_old_report_nor_an_old_call_is_meant() {
        let devices = Devices::default();
        devices.reported("1", evidence(), secs(0));
        assert_eq!(devices.called("1", key("a"), secs(11)), None);
        assert_eq!(devices.reported("1", evidence(), secs(11 + DEVICE_MICROS_MAX / 1_000_000 + 1)), None);
    }

    #[test]
    fn devices_are_bounded_and_the_oldest_goes_first() {
        let devices = Devices::default();
        for n in 0..DEVICES_MAX + 10 {
            devices.called(&n.to_string(), key("a"), secs(0).plus_micros(n as u64));
        }
        assert!(devices.lock().devices.len() <= DEVICES_MAX);
        assert_eq!(devices.reported("0", evidence(), secs(1)), None);
        assert!(devices.reported(&DEVICES_MAX.to_string(), evidence(), secs(1)).is_some());
    }
}
