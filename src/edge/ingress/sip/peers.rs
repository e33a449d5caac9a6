//! Which gateway speaks: by the address its packets come from, or by its certificate where there is one.
//!
//! An address proves little, and no call depends on it: who is not listed is answered all the same, without a trunk.

use std::net::{IpAddr, SocketAddr};

use crate::edge::tls::Role;
use crate::units::Name;

/// A gateway that is known by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipPeer {
    network: IpAddr,
    bits: u8,
    pub trunk: Name,
    /// It is a location retrieval function and wants 300 (3GPP TS 24.229, 5.12.2).
    pub lrf: bool,
    /// Every contact it brings is a test.
    pub load_test: bool,
}

/// Why a row names no gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    #[error("{0:?} is no network: write an address, or an address and its bits, as 10.1.0.0/16")]
    NoNetwork(String),
    #[error("{0:?} is no trunk: 1 to 32 visible ASCII characters, as in trunks.csv")]
    NoTrunk(String),
}

impl SipPeer {
    /// # Errors
    /// What is wrong with the row.
    pub fn new(network: &str, trunk: &str, lrf: bool, load_test: bool) -> Result<Self, PeerError> {
        let no_network = || PeerError::NoNetwork(network.to_owned());
        let (address, bits) = network.split_once('/').map_or((network, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| no_network())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(widest), |bits| bits.trim().parse().map_err(|_| no_network()))?;
        if bits > widest {
            return Err(no_network());
        }
        let trunk = Name::new(trunk).ok_or_else(|| PeerError::NoTrunk(trunk.to_owned()))?;
        Ok(Self { network: address.to_canonical(), bits, trunk, lrf, load_test })
    }

    fn holds(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let spare = width.saturating_sub(u32::from(self.bits));
            one.checked_shr(spare).unwrap_or(0) == other.checked_shr(spare).unwrap_or(0)
        };
        match (self.network, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// Who sent a message, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub source: SocketAddr,
    pub trunk: Option<Name>,
    pub lrf: bool,
    pub load_test: bool,
}

/// The rows, the narrowest network first.
#[derive(Debug)]
pub(super) struct Peers(Vec<SipPeer>);

impl Peers {
    pub fn new(mut rows: Vec<SipPeer>) -> Self {
        rows.sort_by_key(|row| std::cmp::Reverse(row.bits));
        Self(rows)
    }

    pub fn at(&self, source: SocketAddr) -> Peer {
        let address = source.ip().to_canonical();
        let row = self.0.iter().find(|row| row.holds(address));
        Peer {
            source,
            trunk: row.map(|row| row.trunk),
            lrf: row.is_some_and(|row| row.lrf),
            load_test: row.is_some_and(|row| row.load_test),
        }
    }
}

impl Peer {
    /// A certificate says more than an address.
    pub fn shown(self, role: Option<Role>) -> Self {
        match role {
            Some(Role::Gateway { trunk, load_test }) => Self { trunk: Some(trunk), load_test, ..self },
            Some(Role::Auditor { .. } | Role::Console { .. } | Role::Ops { .. } | Role::Supervisor { .. }) | None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(peers: &Peers, address: &str) -> Option<String> {
        peers.at(format!("{address}:5060").parse().unwrap()).trunk.map(|trunk| trunk.to_string())
    }

    #[test]
    fn the_narrowest_network_that_holds_an_address_names_its_trunk() {
        let row = |network, trunk| SipPeer::new(network, trunk, false, false).unwrap();
        let peers =
            Peers::new(vec![row("10.0.0.0/8", "wide"), row("10.1.0.0/16", "narrow"), row("10.1.2.3", "one"), row("2001:db8::/32", "six")]);
        for (address, expected) in [
            ("10.9.9.9", Some("wide")),
            ("10.1.9.9", Some("narrow")),
            ("10.1.2.3", Some("one")),
            ("192.0.2.1", None),
            ("[2001:db8::7]", Some("six")),
            ("[::ffff:10.1.2.3]", Some("one")),
        ] {
            assert_eq!(trunk(&peers, address).as_deref(), expected, "{address}");
        }
        assert_eq!(trunk(&Peers::new(vec![row("0.0.0.0/0", "all")]), "203.0.113.9").as_deref(), Some("all"));
    }

    #[test]
    fn a_row_that_names_nobody_says_what_is_wrong() {
        for network in ["", "10.0.0.0/33", "10.0.0/8", "gw.example.org", "10.0.0.0/x"] {
            assert!(matches!(SipPeer::new(network, "a", false, false), Err(PeerError::NoNetwork(_))), "{network}");
        }
        assert!(matches!(SipPeer::new("10.0.0.1", "a b", false, false), Err(PeerError::NoTrunk(_))));
    }
}
