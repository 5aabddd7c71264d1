//! Names, telephone numbers and lists of words for customers nobody has met.
//!
//! Every name is composed from common Indonesian given and family names; a telephone number
//! carries the customer's number in it, so no two customers of a story share one.

use super::dice::Dice;

const GIVEN: [&str; 64] = [
    "Aditya", "Agus", "Ahmad", "Aisyah", "Amelia", "Andi", "Anisa", "Arif", "Asep", "Bagus",
    "Bambang", "Cahya", "Citra", "Dedi", "Deni", "Dian", "Dimas", "Dina", "Eka", "Endang", "Fajar",
    "Farah", "Fitri", "Galih", "Gita", "Hani", "Hari", "Heru", "Iman", "Indah", "Iwan", "Jaka",
    "Kartika", "Kurnia", "Laras", "Lestari", "Lukman", "Made", "Mega", "Mira", "Nadia", "Nanda",
    "Nisa", "Novi", "Nur", "Oki", "Putri", "Putu", "Rahmat", "Rani", "Ratih", "Reza", "Ridwan",
    "Rizki", "Santi", "Satria", "Sinta", "Surya", "Taufik", "Tika", "Wahyu", "Wayan", "Yanti",
    "Yusuf",
];
const FAMILY: [&str; 44] = [
    "Adiputra",
    "Anggraini",
    "Ardiansyah",
    "Astuti",
    "Budiman",
    "Firmansyah",
    "Gunawan",
    "Halim",
    "Handayani",
    "Hapsari",
    "Hardiansyah",
    "Hidayat",
    "Irawan",
    "Kurniawan",
    "Kusuma",
    "Lubis",
    "Mahendra",
    "Maulana",
    "Nasution",
    "Nugroho",
    "Oktaviani",
    "Pangestu",
    "Permana",
    "Prasetyo",
    "Pratama",
    "Puspita",
    "Rahardjo",
    "Rahayu",
    "Ramadhan",
    "Safitri",
    "Santoso",
    "Saputra",
    "Setiawan",
    "Simanjuntak",
    "Siregar",
    "Subagyo",
    "Suharto",
    "Suryani",
    "Susilo",
    "Utami",
    "Wibowo",
    "Wijaya",
    "Wulandari",
    "Yulianti",
];
const FIRMS: [&str; 12] = [
    "Karya Mandiri",
    "Sinar Pasundan",
    "Cipta Rasa",
    "Bumi Parahyangan",
    "Tirta Sejahtera",
    "Mitra Lembang",
    "Anugerah Niaga",
    "Citra Boga",
    "Rimba Raya",
    "Pelita Ilmu",
    "Surya Medika",
    "Graha Tani",
];
const PREFIXES: [&str; 12] =
    ["811", "812", "813", "815", "816", "817", "819", "821", "822", "852", "856", "878"];

/// A person's name of two words.
pub(super) fn person(dice: &mut Dice) -> String {
    format!("{} {}", dice.pick(&GIVEN), dice.pick(&FAMILY))
}

/// A firm's name.
pub(super) fn firm(dice: &mut Dice) -> String {
    format!("{} {}", dice.pick(&["CV", "PT", "Koperasi", "Yayasan"]), dice.pick(&FIRMS))
}

/// The mobile number of customer `number`, in E.164.
pub(super) fn phone(number: u32, dice: &mut Dice) -> String {
    format!("+62{}{number:05}{:03}", dice.pick(&PREFIXES), dice.between(0, 999))
}

/// The e-mail address of customer `number`, at a domain that nobody can own.
pub(super) fn email(name: &str, number: u32) -> String {
    let local: String =
        name.to_lowercase().chars().map(|c| if c == ' ' { '.' } else { c }).collect();
    format!("{local}{number}@example.com")
}
