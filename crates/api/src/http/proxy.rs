//! Where a proxy ends TLS, only the proxy may connect: whoever else could would send keys in the clear.

use std::net::IpAddr;
use std::str::FromStr;

/// One address, or all that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |it| it.parse().map_err(drop))?;
        (bits <= all).then_some(Self { address, bits }).ok_or(())
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Whether somebody may connect: anybody where no proxy is named, and always this machine itself.
#[must_use]
pub fn admits(proxies: &[Network], address: IpAddr) -> bool {
    proxies.is_empty()
        || address.to_canonical().is_loopback()
        || proxies.iter().any(|it| it.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_proxies_and_this_machine_may_connect() {
        let proxies = ["10.0.0.0/24", "192.0.2.7", "2001:db8::/32"].map(|it| it.parse().unwrap());
        for (address, wanted) in [
            ("10.0.0.9", true),
            ("::ffff:10.0.0.9", true),
            ("10.0.1.9", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("127.0.0.1", true),
            ("::1", true),
        ] {
            assert_eq!(admits(&proxies, address.parse().unwrap()), wanted, "{address}");
        }
        assert!(admits(&[], "10.0.1.9".parse().unwrap()));
        for wrong in ["10.0.0.0/33", "proxy", "10.0.0/24", "::/129", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!(admits(&["0.0.0.0/0".parse().unwrap()], "198.51.100.1".parse().unwrap()));
    }
}
