//! What a receipt warns of: the event is recorded, and somebody may want to look at it again.
//!
//! One catalogue, in two languages, for receipts and for `/problems/<word>`.

use serde::{Deserialize, Serialize};

use crate::problem::{Language, Text};

macro_rules! warnings {
    ($($name:ident $word:literal [$en:literal, $cause_en:literal, $remedy_en:literal]
        [$id:literal, $cause_id:literal, $remedy_id:literal],)+) => {
        /// The word of a warning: stable, English, never translated.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Warning {
            $(#[doc = $cause_en] $name,)+
        }

        impl Warning {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in `warnings`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The title in one language.
            #[must_use]
            pub const fn title(self, language: Language) -> &'static str {
                match language {
                    Language::En => match self { $(Self::$name => $en,)+ },
                    Language::Id => match self { $(Self::$name => $id,)+ },
                }
            }

            /// What was seen.
            #[must_use]
            pub fn cause(self) -> Text {
                match self { $(Self::$name => Text::new($cause_en, $cause_id),)+ }
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> Text {
                match self { $(Self::$name => Text::new($remedy_en, $remedy_id),)+ }
            }
        }
    };
}

warnings! {
    CustomerNew "customer_new"
        ["This customer is new", "This event is the first about this customer id, and it is not `customer.registered`.", "Check the id for a slip. If it is right, nothing is to be done. A key made with unknown_customers=refuse refuses such events."]
        ["Pelanggan ini baru", "Peristiwa ini yang pertama tentang id pelanggan ini, dan bukan `customer.registered`.", "Periksa apakah id salah ketik. Jika benar, tidak perlu apa-apa. Kunci dengan unknown_customers=refuse menolak peristiwa seperti ini."],
    ClockSuspect "clock_suspect"
        ["The time lies ahead", "The time lies 5 minutes to 24 hours ahead of the server's clock.", "Check the clock of the sender. The event takes effect when its time has come."]
        ["Waktunya di depan", "Waktunya 5 menit sampai 24 jam di depan jam server.", "Periksa jam pengirim. Peristiwa berlaku setelah waktunya tiba."],
    Late "late"
        ["Recorded late", "The event was recorded more than an hour after it happened.", "Send events as they happen. A late one counts from when it happened."]
        ["Terlambat tercatat", "Peristiwa tercatat lebih dari satu jam setelah terjadi.", "Kirim peristiwa saat terjadi. Yang terlambat dihitung sejak saat terjadinya."],
    UnknownField "unknown_field"
        ["A field is not in the schema", "The schema of this type does not know this field. It is kept, and counts as personal.", "Check the spelling against /schemas, or leave the field out."]
        ["Sebuah bidang tidak ada di skema", "Skema jenis ini tidak mengenal bidang ini. Bidang disimpan dan dianggap pribadi.", "Cocokkan ejaannya dengan /schemas, atau hilangkan bidang itu."],
    AttributeIgnored "attribute_ignored"
        ["An attribute was left out", "Only Sapa sets this attribute. It was removed before recording.", "Leave it out. What Sapa gave out may be sent again as it is."]
        ["Sebuah atribut diabaikan", "Hanya Sapa yang mengisi atribut ini. Atribut dihapus sebelum dicatat.", "Hilangkan saja. Yang diberikan Sapa boleh dikirim lagi apa adanya."],
    IdPersonal "id_personal"
        ["The customer id looks like a telephone number", "The customer id of this imported event looks like a mobile number.", "Use an opaque id; telephone numbers belong in customer.identified."]
        ["Id pelanggan mirip nomor telepon", "Id pelanggan pada peristiwa impor ini mirip nomor ponsel.", "Pakai id yang tidak bermakna; nomor telepon masuk ke customer.identified."],
    NameCleaned "name_cleaned"
        ["A name was cleaned", "Control or direction characters were removed from this name.", "Check where the name was typed or copied from."]
        ["Sebuah nama dibersihkan", "Karakter kendali atau arah tulisan dihapus dari nama ini.", "Periksa dari mana nama itu diketik atau disalin."],
    NameConfusable "name_confusable"
        ["A name mixes scripts", "This name mixes scripts whose letters look alike.", "Check that the name is what the person writes."]
        ["Sebuah nama mencampur aksara", "Nama ini mencampur aksara yang hurufnya mirip.", "Periksa apakah nama itu seperti yang ditulis orangnya."],
}

impl Warning {
    /// The warning of a word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == word)
    }

    /// The same about a place.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> WarningAt {
        WarningAt { warning: self, pointer: pointer.into() }
    }
}

/// A warning and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarningAt {
    /// The word.
    pub warning: Warning,
    /// RFC 6901 pointer from the event's root.
    pub pointer: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_is_its_word_in_json_and_speaks_both_languages() {
        for &it in Warning::ALL {
            assert_eq!(serde_json::to_value(it).unwrap(), it.as_str());
            assert_eq!(Warning::from_word(it.as_str()), Some(it));
            assert_ne!(it.title(Language::En), it.title(Language::Id));
            assert_ne!(it.cause().en, it.cause().id);
            assert_ne!(it.remedy().en, it.remedy().id);
        }
    }
}
