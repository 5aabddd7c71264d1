//! The currencies of ISO 4217 that money is paid in: no test codes, no metals, no units of account.

const LISTED: &str = "\
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP \
GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD \
KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN \
NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP \
SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES \
VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// Whether three letters are the code of a currency in use.
pub(super) fn is_listed(code: &str) -> bool {
    LISTED.split(' ').any(|it| it == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_holds_only_codes() {
        let codes: Vec<&str> = LISTED.split(' ').collect();
        assert!(codes.is_sorted_by(|left, right| left < right));
        assert!(codes.iter().all(|it| it.len() == 3 && it.bytes().all(|b| b.is_ascii_uppercase())));
        assert!(is_listed("IDR") && is_listed("XOF") && !is_listed("XTS") && !is_listed("idr"));
    }
}
