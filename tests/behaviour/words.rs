//! What people write and say, in the languages of the country, and whom it brings.
//!
//! The tables are text: one utterance a line, `words | lead | what else`. `what else` lists services that must come, `-service` for
//! one that must not, and `QUIET` where nothing may ring. Every text is decided by `route` on the shipped pack, as an SMS without
//! a place, so that only the words decide. A text of which nothing is believed goes to the answering room, the police.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use najda::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use najda::decision::Decision;
use najda::edge::tables::load_or_shipped;
use najda::geo::area::Shape;
use najda::geo::point::Point;
use najda::limits::TEXT_BYTES_MAX;
use najda::route::route;
use najda::tables::snapshot::Snapshot;
use najda::units::{ContactId, Ppm, Timestamp};
use proptest::prelude::*;

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let loaded = load_or_shipped(None).unwrap_or_else(|error| panic!("the shipped pack: {error}"));
    Snapshot::of(Arc::clone(&loaded.tables))
});

const NOW: Timestamp = Timestamp { unix_micros: 1_795_000_000_000_000 };

fn contact(door: Door, text: &str) -> Contact {
    let mut contact = Contact::new(ContactId::default(), ContactKey::default(), NOW, door);
    if !text.is_empty() {
        contact.signals.push(Signal::Words(text.into()));
    }
    contact
}

fn at(lat: f64, lon: f64, radius_m: f64) -> LocationClaim {
    let center = Point::from_degrees(lat, lon).expect("a place on the globe");
    let place = Place::Shape(Shape::Circle { center, radius_cm: (radius_m * 100.0) as u32 });
    LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 0, confidence: Ppm(950_000) }
}

fn decide(text: &str) -> Decision {
    route(&SNAPSHOT, &contact(Door::Sms, text), NOW)
}

fn services(decision: &Decision) -> Vec<&'static str> {
    let lead = decision.services.iter().filter(|assigned| assigned.lead);
    let others = decision.services.iter().filter(|assigned| !assigned.lead);
    lead.chain(others).map(|assigned| assigned.service.word()).collect()
}

/// What is wrong with the decision for one line of a table, if anything.
fn wrong(line: &str) -> Option<String> {
    let [text, lead, others] = fields(line);
    let decision = decide(text);
    let services = services(&decision);
    let kept = |other: &str| match other.strip_prefix('-') {
        Some(absent) => !services.contains(&absent),
        None if other == "QUIET" => decision.quiet,
        None => services.contains(&other),
    };
    let right = services.first() == Some(&lead) && others.split_whitespace().all(kept);
    let reasons = || decision.reasons.iter().map(|reason| reason.what.as_str()).collect::<Vec<_>>().join(" ");
    (!right).then(|| format!("{line}\n    brings {services:?} because of {}", reasons()))
}

fn fields(line: &str) -> [&str; 3] {
    let mut fields = line.split('|').map(str::trim);
    [(); 3].map(|()| fields.next().unwrap_or_default())
}

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[track_caller]
fn check(language: &str, table: &str) {
    assert!(lines(table).count() >= 25, "{language}: a language is read in 25 utterances at least");
    let wrong: Vec<String> = lines(table).filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{language}: {} of {} are wrong\n{}", wrong.len(), lines(table).count(), wrong.join("\n"));
}

#[track_caller]
fn check_language(text: &str, expected: &str) {
    let read = decide(text).lang.map(|lang| String::from_utf8_lossy(&lang).into_owned());
    assert_eq!(read.as_deref().unwrap_or("none"), expected, "{text}");
}

// --- the languages ---

#[test]
fn english_brings_whom_it_asks_for() {
    check("English", ENGLISH);
}

#[test]
fn arabic_brings_whom_it_asks_for() {
    check("Arabic", ARABIC);
}

#[test]
fn arabic_in_latin_letters_brings_whom_it_asks_for() {
    check("arabizi", ARABIZI);
}

#[test]
fn hindi_in_both_scripts_brings_whom_it_asks_for() {
    check("Hindi", HINDI);
}

#[test]
fn urdu_brings_whom_it_asks_for() {
    check("Urdu", URDU);
}

#[test]
fn malayalam_in_both_scripts_brings_whom_it_asks_for() {
    check("Malayalam", MALAYALAM);
}

#[test]
fn bengali_in_both_scripts_brings_whom_it_asks_for() {
    check("Bengali", BENGALI);
}

#[test]
fn tagalog_brings_whom_it_asks_for() {
    check("Tagalog", TAGALOG);
}

#[test]
fn what_strangers_to_the_lists_wrote_brings_whom_it_asks_for() {
    check("strangers", STRANGERS);
}

#[test]
fn what_is_read_wrong_today_is_known() {
    for (line, brings) in lines(WRONG_TODAY).map(|line| (line, fields(line)[2])) {
        let decision = decide(fields(line)[0]);
        assert_eq!(services(&decision).join(" "), brings, "{line}: if this is right now, move it to the strangers");
    }
}

#[test]
fn what_is_denied_brings_nobody_for_it() {
    let denied = [
        "no fire",
        "there is no fire here",
        "ما في حريق",
        "mafi 7areeq",
        "आग नहीं है",
        "आग नहीं लगी है",
        "koi aag nahi lagi",
        "آگ نہیں ہے",
        "کوئی آگ نہیں لگی",
        "തീ ഇല്ല",
        "thee illa",
        "আগুন নেই",
        "আগুন লাগে নাই",
        "agun nai",
        "walang sunog",
        "hindi nasusunog",
    ];
    for text in denied {
        let decision = decide(text);
        assert!(decision.incident_type.is_none(), "{text}: {:?}", services(&decision));
    }
}

#[test]
fn a_denial_does_not_reach_across_a_comma_or_a_but() {
    check_lines(
        "
        no fire, a man is bleeding | ambulance | -civil_defence
        there is no fire but gas is leaking | civil_defence |
        आग नहीं है, गैस लीक है | civil_defence |
        آگ نہیں لیکن دھواں ہے | civil_defence |
        walang sunog pero may nasaktan | ambulance | -civil_defence
        mafi 7areeq, fi wa7id yinzif | ambulance | -civil_defence
        he is not breathing and there is no pulse | ambulance |
        वह सांस नहीं ले रहा, कोई आग नहीं | ambulance | -civil_defence
        ",
    );
}

#[test]
fn several_languages_in_one_text_are_read_together() {
    check_lines(
        "
        bhai please send ambulance, papa ko heart attack aaya | ambulance |
        ate help may fire sa condo, trapped kami | civil_defence | ambulance
        car accident ho gaya ہے, driver زخمی ہے | police | ambulance
        ya jama3a help there is نار in the villa | civil_defence |
        chetta accident aayi, oralku chora varunnu, car marinju | police | ambulance
        kabayan nasunog po yung labor camp please send help | civil_defence |
        يا اخي there is gas leak fel matbakh | civil_defence |
        आग लग गई sir fire in the labour camp | civil_defence |
        ",
    );
}

#[track_caller]
fn check_lines(table: &str) {
    let wrong: Vec<String> = lines(table).filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_language_is_read_from_the_script_and_the_words() {
    check_language("there is a fire in my house", "en");
    check_language("حريق في البيت", "ar");
    check_language("fi 7areeq fel bnaya", "ar");
    check_language("घर में आग लग गई", "hi");
    check_language("mere ghar me aag lag gayi hai", "hi");
    check_language("گھر میں آگ لگ گئی ہے", "ur");
    check_language("വീട്ടിൽ തീ പിടിച്ചു", "ml");
    check_language("veettil thee pidichu vegam", "ml");
    check_language("বাসায় আগুন লেগেছে", "bn");
    check_language("amader basay agun lagse", "bn");
    check_language("nasusunog ang bahay namin", "tl");
    check_language("", "none");
    check_language("zzz qqq", "none");
}

/// Words that mean something else in another language, or are a name: what they would bring, they must not bring alone.
#[test]
fn a_word_of_one_language_does_not_frighten_another() {
    let harmless = [
        "my name is Saif",
        "call Sam at the office",
        "Saddam street villa 2",
        "International City phase 2",
        "one thali please",
        "bago ako dito",
        "yoga mat",
        "haza el bait",
        "hota hai",
        "حملة توعية",
        "انتقال أثاث",
        "Mr Bachan",
        "Sagor is my brother",
        "khana jal gaya",
    ];
    for text in harmless {
        let decision = decide(text);
        assert!(decision.incident_type.is_none(), "{text}: {:?} {:?}", services(&decision), decision.reasons);
    }
}

// --- other collections of texts ---

/// Every row of the demo's day that has words leads to the service its last column names, at its place.
#[test]
fn the_texts_of_the_day_have_their_lead() {
    let day = include_str!("../../src/cli/demo/day.csv");
    let mut rows = csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(day.as_bytes());
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows.records() {
        let row = row.expect("day.csv is well formed");
        let [place, lat, lon, radius, door, dialled, _, _, text, _, lead] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|at| &row[at]);
        if text.is_empty() {
            continue;
        }
        let mut contact = contact(Door::from_word(door).expect("a door"), text);
        if let (Ok(lat), Ok(lon)) = (lat.parse(), lon.parse()) {
            contact.claims.push(at(lat, lon, radius.parse().unwrap_or(50.0)));
        }
        if !dialled.is_empty() {
            contact.signals.push(Signal::Dialled(dialled.into()));
        }
        let decision = route(&SNAPSHOT, &contact, NOW);
        count += 1;
        if services(&decision).first() != Some(&lead) {
            wrong.push(format!("{place}: {text} | {lead} | {:?}", services(&decision)));
        }
    }
    assert!(count > 40, "{count} rows have words");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words of the acceptance cases bring the services they name, whatever the place adds.
#[test]
fn the_texts_of_the_acceptance_cases_bring_their_services() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/uae/acceptance.jsonl");
    let Ok(cases) = std::fs::read_to_string(&path) else {
        println!("skipped 1 collection: the acceptance cases are not at hand");
        return;
    };
    let mut wrong = Vec::new();
    for line in cases.lines().filter(|line| !line.trim().is_empty()) {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case is JSON");
        let input = &case["in"];
        let Some(text) = input["text"].as_str() else { continue };
        let mut contact = contact(input["door"].as_str().and_then(Door::from_word).expect("a door"), text);
        if let (Some(lat), Some(lon)) = (input["lat"].as_f64(), input["lon"].as_f64()) {
            contact.claims.push(at(lat, lon, input["uncertainty_m"].as_f64().unwrap_or(50.0)));
        }
        if let Some(digits) = input["dialled"].as_str() {
            contact.signals.push(Signal::Dialled(digits.into()));
        }
        let decision = route(&SNAPSHOT, &contact, NOW);
        let services = services(&decision);
        for expected in case["out"]["services"].as_array().into_iter().flatten() {
            let service = expected["service"].as_str().unwrap_or_default();
            let leads = expected["lead"].as_bool().unwrap_or(false);
            if !services.contains(&service) || (leads && services.first() != Some(&service)) {
                wrong.push(format!("{}: {text} | {service} | {services:?}", case["id"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// --- whatever arrives ---

/// Goal: no text may cost a call its answer. Method: what people and machines have been seen to send to break readers.
#[test]
fn strange_texts_are_read_and_answered() {
    let long = "fire at the tower ".repeat(400);
    let zalgo: String = "fire in the house".chars().flat_map(|c| [c, '\u{0301}', '\u{0489}', '\u{0336}', '\u{20dd}']).collect();
    let one_word = "ا".repeat(TEXT_BYTES_MAX);
    let mixed = "fireنارआगآگതീআগুন🔥".repeat(150);
    let negations = "no not لا नहीं illa na walang ".repeat(300);
    let gaps = "building building building car car tower tower ".repeat(200);
    let cut_inside_a_letter = format!("{}آگ آگ آگ", "a".repeat(TEXT_BYTES_MAX - 1));
    let strange = [
        long.as_str(),
        &zalgo,
        &one_word,
        &mixed,
        &negations,
        &gaps,
        &cut_inside_a_letter,
        "f\u{200f}i\u{200b}r\u{202e}e",
        "\u{202e}erif\u{202c}",
        "fire\0\0\0 fi\0re",
        "\0\0\0",
        ".,;:!?…،؛؟।॥",
        "????????!!!!!!!",
        "🔥🔥🔥👨‍👩‍👧‍👦",
        "\u{feff}",
        "   \t\r\n  ",
        "%s%s%s {} \\u0000 <script>",
        "\u{10ffff}\u{e000}\u{fffd}",
        "ﷺﷲ﷽",
    ];
    for text in strange {
        let decision = decide(text);
        assert!(decision.lead().is_some(), "{text:?} has a lead");
        assert_eq!(decision, decide(text), "{text:?} is decided the same way twice");
    }
    for fire in [&long, &zalgo, strange[7], strange[9], strange[13]] {
        assert_eq!(services(&decide(fire)).first(), Some(&"civil_defence"), "{fire:?}");
    }
}

/// Goal: reading is linear and bounded. Method: the worst texts of full length stay below a time no reader in a loop would keep.
#[test]
fn the_longest_text_is_read_within_a_bound() {
    let worst = ["fire building tower car boat house ", "না নাই নেই আগুন ", "aag building jal gaya nahi ", "7ari8 fel bait "];
    for part in worst {
        let text = part.repeat(TEXT_BYTES_MAX / part.len() + 1);
        let fastest = (0..8)
            .map(|_| {
                let begun = Instant::now();
                std::hint::black_box(SNAPSHOT.tables.words.lexicon.read(&text));
                begun.elapsed().as_micros()
            })
            .min();
        assert!(fastest < Some(50_000), "{part}: {fastest:?} µs for {TEXT_BYTES_MAX} bytes");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "fire",
        "no",
        "gas",
        "leak",
        "حريق",
        "لا",
        "في",
        "برج",
        "आग",
        "नहीं",
        "लिफ्ट",
        "آگ",
        "تീ",
        "ഇല്ല",
        "আগুন",
        "নেই",
        "sunog",
        "walang",
        "7ari8",
        "mafi",
        "🔥",
        ",",
        ".",
        "but",
        "\u{200f}",
        "\0",
        "building",
        "boat",
        "sea",
    ]);
    let piece = prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from), 1 => ".{0,12}"];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_one_answer_that_names_a_dispatcher(text in prop_oneof![pieces(), any::<String>()]) {
        let decision = decide(&text);
        prop_assert!(decision.lead().is_some());
        prop_assert_eq!(&decision, &decide(&text));
        let words = SNAPSHOT.tables.words.lexicon.read(&text);
        for heard in &words.types {
            let (from, until) = (usize::from(heard.from), usize::from(heard.until));
            prop_assert!(from < until && until <= text.len() && text.is_char_boundary(from) && text.is_char_boundary(until));
        }
    }

    /// Marks that nobody sees change nothing.
    #[test]
    fn invisible_marks_do_not_change_what_is_read(
        at in 0usize..40, mark in prop::sample::select(vec!['\u{200b}', '\u{200f}', '\u{202b}', '\u{feff}']),
    ) {
        let text = "there is a fire in the building and people are trapped";
        let marked: String = text.chars().enumerate().flat_map(|(place, c)| (place == at).then_some(mark).into_iter().chain([c])).collect();
        prop_assert_eq!(services(&decide(&marked)), services(&decide(text)));
    }
}

// --- the tables ---

const ENGLISH: &str = "
fire in a building, people are trapped on the 5th floor | civil_defence | ambulance
my house is on fire | civil_defence |
no fire only smoke | civil_defence | -ambulance
strong smell of gas in the kitchen | civil_defence |
two cars crashed, one man is hurt | police | ambulance
a truck rolled over | police | ambulance
accident but no one is hurt | police | -ambulance
my father is unconscious and not breathing | ambulance | -police
he has chest pain | ambulance |
my wife is pregnant and in labour | ambulance |
i think she is having a stroke | ambulance |
he was bitten by a snake | ambulance |
a worker fell from scaffolding | ambulance |
he got an electric shock | ambulance | civil_defence
a thief is in my house | police |
my husband is beating me | police | ambulance
someone was stabbed | police | ambulance
there is a shooting | police | ambulance
they kidnapped my daughter | police |
my son is missing | police |
a child is drowning in the pool | ambulance | civil_defence
our boat is sinking | coast_guard | search_rescue
we are lost in the desert | search_rescue |
we are stuck in the elevator | civil_defence |
he wants to kill himself | police | ambulance
he is here, do not call me, i am hiding from the robber | police | QUIET
this is not a fire drill, the school is on fire | civil_defence |
gas cylinder exploded | civil_defence | ambulance
my car was stolen | police | -ambulance
the building collapsed | civil_defence | ambulance police
";

const ARABIC: &str = "
حريق في بناية وناس محصورين في الدور الخامس | civil_defence | ambulance
البيت يحترق | civil_defence |
مافي حريق بس دخان | civil_defence | -ambulance
ريحة غاز قوية في المطبخ | civil_defence |
حادث سيارتين وواحد مصاب | police | ambulance
شاحنة انقلبت | police | ambulance
حادث بس ما في اصابات | police | -ambulance
أبوي مغمى عليه وما يتنفس | ambulance |
ألم شديد في الصدر | ambulance |
زوجتي حامل وعندها طلق | ambulance |
أمي جاها جلطة | ambulance |
لدغته حية | ambulance |
عامل سقط من السقالة | ambulance |
صعقة كهرباء | ambulance | civil_defence
حرامي داخل البيت | police |
زوجي يضربني | police | ambulance
طعنوه بسكين | police | ambulance
إطلاق نار | police | ambulance
خطفوا بنتي | police |
ولدي ضايع | police |
طفل يغرق في المسبح | ambulance | civil_defence
القارب يغرق | coast_guard | search_rescue
ضايعين في الصحراء | search_rescue |
محصورين في المصعد | civil_defence |
يبغي ينتحر | police | ambulance
حرامي في البيت وأنا مختبية لا تتصل | police | QUIET
انفجار اسطوانة غاز | civil_defence | ambulance
دهس والرجال ينزف | police | ambulance
السيل شال السيارة في الوادي | civil_defence |
ما حد تعور بس السيارات خربانة | police | -ambulance
";

const ARABIZI: &str = "
fi 7areeq fel bnaya w nas m7asareen | civil_defence | ambulance
7ari8 fi el bait | civil_defence |
mafi 7areeq bas dukhan | civil_defence | -ambulance
ri7at ghaz qawiya fel matbakh | civil_defence |
7adith sayara w fi mosabeen | police | ambulance
sha7ina ingalabat | police | ambulance
7adith bas ma fi isabat | police | -ambulance
abooy mughma 3alaih w ma yitnaffas | ambulance |
waja3 fi sadri | ambulance |
zojty 7amil w 6alq | ambulance |
ummi jalta dimaghiya | ambulance |
ladghatah 7ayya | ambulance |
3amil ta7 min sqala | ambulance |
itkahrab | ambulance | civil_defence
7arami dakhal el bait | police |
zawji yidribni | police | ambulance
6a3nooh b sikin | police | ambulance
fi itlaq nar | police | ambulance
khatafaw bnty | police |
weldi dhay3 fel mall | police |
walad ghar8an fel masba7 | ambulance | civil_defence
el markab yighra8 | coast_guard |
e7na dhay3een fel sa7ra | search_rescue |
3alqeen fel asanseer | civil_defence |
yabi yinta7ir | police | ambulance
7arami fel bait, ana mitkhabya, la tit9il | police | QUIET
a7tag mos3af besor3a | ambulance |
hosha kbeera w wa7id yinzif | police | ambulance
harami fi albait | police |
el7agoni 7areega fel sha2a | civil_defence |
";

const HINDI: &str = "
इमारत में आग लगी है और लोग फंसे हैं | civil_defence | ambulance
घर में आग लग गई | civil_defence |
आग नहीं सिर्फ धुआँ है | civil_defence | -ambulance
गैस की बदबू आ रही है | civil_defence |
दो गाड़ियों की टक्कर हो गई, एक आदमी घायल है | police | ambulance
ट्रक पलट गया है | police | ambulance
एक्सीडेंट हुआ है, कोई घायल नहीं है | police | -ambulance
पापा बेहोश हो गए और सांस नहीं ले रहे | ambulance |
सीने में बहुत दर्द है | ambulance |
मेरी बीवी को बच्चा होने वाला है | ambulance |
दादी को लकवा मार गया | ambulance |
साँप ने काट लिया | ambulance |
मज़दूर छत से गिर गया | ambulance |
करंट लग गया | ambulance |
चोर घर में घुस गया है | police |
मेरा पति मुझे मार रहा है | police |
किसी ने चाकू मार दिया | police | ambulance
गोली चली है | police |
मेरी बेटी का अपहरण हो गया | police |
मेरा बच्चा खो गया है | police |
बच्चा स्विमिंग पूल में डूब रहा है | ambulance | civil_defence
नाव डूब रही है | coast_guard |
हम रेगिस्तान में रास्ता भटक गए हैं | search_rescue |
लिफ्ट में फंस गए हैं | civil_defence |
वह आत्महत्या करना चाहता है | police | ambulance
चोर अंदर है, मैं छुपी हूँ, फोन मत करो | police | QUIET
building me aag lag gayi hai | civil_defence |
papa saans nahi le rahe | ambulance |
accident hua hai do log ghayal | police | ambulance
chor ghar me ghus gaya | police |
boat dub rahi hai jaldi aao | coast_guard |
koi aag nahi hai sirf dhua | civil_defence | -ambulance
mera bhai behosh ho gaya | ambulance |
seene me dard ho raha hai | ambulance |
lift me fas gaye hain | civil_defence |
usne chaku mar diya khoon nikal raha hai | police | ambulance
pati mujhe maar raha hai | police |
gadi palat gayi andar log phase hain | police | civil_defence
bhai please send ambulance, papa ko heart attack aaya | ambulance |
";

const URDU: &str = "
عمارت میں آگ لگی ہے اور لوگ پھنسے ہوئے ہیں | civil_defence | ambulance
گھر میں آگ لگ گئی ہے | civil_defence |
آگ نہیں صرف دھواں ہے | civil_defence | -ambulance
گیس کی بو آ رہی ہے | civil_defence |
دو گاڑیوں کی ٹکر ہوئی ہے، ایک آدمی زخمی ہے | police | ambulance
ٹرک الٹ گیا ہے | police | ambulance
حادثہ ہوا ہے، کوئی زخمی نہیں ہے | police | -ambulance
میرے والد بے ہوش ہو گئے اور سانس نہیں لے رہے | ambulance |
سینے میں شدید درد ہے | ambulance |
میری بیوی حاملہ ہے اور درد ہو رہا ہے | ambulance |
دادی کو فالج ہو گیا | ambulance |
سانپ نے کاٹ لیا | ambulance |
مزدور چھت سے گر گیا | ambulance |
کرنٹ لگ گیا | ambulance | civil_defence
چور گھر میں گھس گیا ہے | police |
میرا شوہر مجھے مار رہا ہے | police | ambulance
کسی نے چاقو مار دیا | police | ambulance
گولیاں چل رہی ہیں | police | ambulance
میری بیٹی کو اغوا کر لیا | police |
میرا بچہ گم ہو گیا ہے | police |
بچہ سوئمنگ پول میں ڈوب رہا ہے | ambulance | civil_defence
کشتی ڈوب رہی ہے | coast_guard |
ہم صحرا میں راستہ بھول گئے ہیں | search_rescue |
لفٹ میں پھنس گئے ہیں | civil_defence |
وہ خودکشی کرنا چاہتا ہے | police | ambulance
چور اندر ہے، میں چھپی ہوں، فون مت کرو | police | QUIET
sailab mein gari phans gayi | civil_defence |
mera shohar mujhe maar raha hai | police |
car accident ho gaya ہے, driver زخمی ہے | police | ambulance
";

const MALAYALAM: &str = "
കെട്ടിടത്തിൽ തീ പിടിച്ചു, ആളുകൾ കുടുങ്ങി | civil_defence | ambulance
വീട്ടിൽ തീപിടിത്തം | civil_defence |
തീ ഇല്ല പുക മാത്രം | civil_defence | -ambulance
ഗ്യാസ് ലീക്ക് ഉണ്ട് | civil_defence |
രണ്ട് കാറുകൾ കൂട്ടിയിടിച്ചു, ഒരാൾക്ക് പരിക്കുണ്ട് | police | ambulance
ലോറി മറിഞ്ഞു | police | ambulance
അപകടം ഉണ്ടായി, ആർക്കും പരിക്ക് ഇല്ല | police | -ambulance
അച്ഛന് ബോധമില്ല ശ്വസിക്കുന്നില്ല | ambulance |
എനിക്ക് നെഞ്ചുവേദന | ambulance |
ഭാര്യ ഗർഭിണിയാണ് പ്രസവവേദന തുടങ്ങി | ambulance |
അമ്മയ്ക്ക് സ്ട്രോക്ക് വന്നു | ambulance |
പാമ്പ് കടിച്ചു | ambulance |
തൊഴിലാളി മുകളിൽ നിന്ന് വീണു | ambulance |
ഷോക്ക് അടിച്ചു | ambulance | civil_defence
കള്ളൻ വീട്ടിൽ കയറി | police |
ഭർത്താവ് എന്നെ തല്ലുന്നു | police | ambulance
ഒരാളെ കത്തികൊണ്ട് കുത്തി | police | ambulance
വെടിവെപ്പ് നടക്കുന്നു | police | ambulance
മകളെ തട്ടിക്കൊണ്ടുപോയി | police |
എന്റെ കുട്ടിയെ കാണാനില്ല | police |
കുട്ടി പൂളിൽ മുങ്ങി | ambulance | civil_defence
ബോട്ട് മുങ്ങുന്നു | coast_guard |
മരുഭൂമിയിൽ വഴി തെറ്റി | search_rescue |
ലിഫ്റ്റിൽ കുടുങ്ങി | civil_defence |
അവൻ ആത്മഹത്യ ചെയ്യാൻ പോകുന്നു | police | ambulance
കള്ളൻ അകത്തുണ്ട്, ഞാൻ ഒളിച്ചിരിക്കുന്നു, വിളിക്കരുത് | police | QUIET
veettil thee pidichu | civil_defence |
achanu bodham illa | ambulance |
nenju vedana aanu vegam varu | ambulance |
kallan veettil kayari | police |
car idichu oralku parikku | police | ambulance
thee illa puka mathram | civil_defence | -ambulance
boat mungunnu kadalil aanu | coast_guard |
";

const BENGALI: &str = "
বিল্ডিংয়ে আগুন লেগেছে, মানুষ আটকা পড়েছে | civil_defence | ambulance
কারখানায় আগুন লেগেছে | civil_defence |
আগুন নেই শুধু ধোঁয়া | civil_defence | -ambulance
গ্যাসের গন্ধ পাচ্ছি | civil_defence |
দুইটা গাড়ির ধাক্কা লেগেছে, একজন আহত | police | ambulance
ট্রাক উল্টে গেছে | police | ambulance
অ্যাক্সিডেন্ট হয়েছে, কেউ আহত হয়নি | police | -ambulance
বাবা অজ্ঞান হয়ে গেছে শ্বাস নিচ্ছে না | ambulance |
বুকে খুব ব্যথা | ambulance |
আমার স্ত্রী গর্ভবতী, প্রসব ব্যথা উঠেছে | ambulance |
মায়ের স্ট্রোক হয়েছে | ambulance |
সাপে কামড় দিয়েছে | ambulance |
শ্রমিক ছাদ থেকে পড়ে গেছে | ambulance |
কারেন্টে শক খেয়েছে | ambulance | civil_defence
চোর ঘরে ঢুকেছে | police |
স্বামী আমাকে মারছে | police | ambulance
ছুরি মেরেছে রক্ত পড়ছে | police | ambulance
গুলি করছে | police | ambulance
আমার মেয়েকে অপহরণ করেছে | police |
আমার বাচ্চা হারিয়ে গেছে | police |
বাচ্চা পুলে ডুবে যাচ্ছে | ambulance | civil_defence
নৌকা ডুবে যাচ্ছে | coast_guard |
মরুভূমিতে পথ হারিয়ে ফেলেছি | search_rescue |
লিফটে আটকা পড়েছি | civil_defence |
সে আত্মহত্যা করতে চায় | police | ambulance
চোর ভিতরে, আমি লুকিয়ে আছি, ফোন করবেন না | police | QUIET
basay agun lagse | civil_defence |
baba oggan hoye gese | ambulance |
gari accident hoise ekjon ahoto | police | ambulance
buke betha kortese | ambulance |
agun nai shudhu dhoya | civil_defence | -ambulance
chor ghore dhukse | police |
boat dube jacche | coast_guard |
";

const TAGALOG: &str = "
may sunog sa building at may mga taong nakulong | civil_defence | ambulance
nasusunog ang bahay namin | civil_defence |
walang sunog, usok lang | civil_defence | -ambulance
amoy gas po dito sa kusina | civil_defence |
nagbanggaan ang dalawang kotse, may sugatan | police | ambulance
tumaob ang truck | police | ambulance
may aksidente pero walang nasaktan | police | -ambulance
si tatay walang malay at hindi humihinga | ambulance |
sobrang sakit ng dibdib ko | ambulance |
manganganak na ang asawa ko | ambulance |
na stroke po ang nanay ko | ambulance |
nakagat ng ahas ang kapatid ko | ambulance |
nahulog sa scaffolding ang trabahador | ambulance |
nakuryente siya | ambulance | civil_defence
may magnanakaw sa loob ng bahay | police |
sinasaktan ako ng asawa ko | police | ambulance
sinaksak siya, ang daming dugo | police | ambulance
may barilan dito | police | ambulance
kinidnap ang anak ko | police |
nawawala ang anak ko sa mall | police |
nalulunod ang bata sa pool | ambulance | civil_defence
lumulubog ang bangka namin | coast_guard |
naligaw kami sa disyerto | search_rescue |
na stuck kami sa elevator | civil_defence |
gusto niyang magpakamatay | police | ambulance
may magnanakaw, nagtatago ako, wag kayong tumawag | police | QUIET
hindi makahinga si lola | ambulance |
sinuntok ako ng boyfriend ko | police | ambulance
ate help may fire sa condo, trapped kami | civil_defence | ambulance
hinold up ako sa metro | police |
";

/// Worded without looking at the lists, in three rounds: 94 of 121, 47 of 66 and 34 of 44 were right before what
/// was missing by kind was added.
const STRANGERS: &str = "
there's flames coming out of the third floor window | civil_defence |
my kitchen just went up, fire everywhere, kids upstairs | civil_defence |
I can smell gas in the corridor and my eyes are burning | civil_defence |
car flipped over on sheikh zayed road, driver not moving | police | ambulance
truck rear ended a bus near exit 42 | police |
my dad just dropped to the floor and he's turning blue | ambulance |
she's 9 months pregnant and her water just broke | ambulance |
he's got a knife and he's trying to get into my flat | police |
somebody is trying to open my door with tools | police |
I think my neighbour is beating up his wife | police |
my toddler drank some floor cleaner | ambulance |
we went hiking in jebel jais and we can't find the way down | search_rescue |
engine died and we are drifting away from shore | coast_guard |
the lift stopped between floors with us inside | civil_defence |
an old lady collapsed at the bus stop | ambulance |
he took a whole bottle of sleeping tablets | ambulance |
everything is fine, no accident, just want to ask about a fine | police |
no injuries but the two cars are blocking the lane | police | -ambulance
my friend says he wants to jump off the roof | police | ambulance
shots were fired outside the mall | police | ambulance
البيت يولع تعالوا بسرعة | civil_defence |
في دخان اسود طالع من العمارة | civil_defence |
سيارتين دخلوا في بعض وفي ناس تنزف | police | ambulance
الوالدة تعبانة وما تقدر تتنفس | ambulance |
ولدي بلع قطعة لعبة ويختنق | ambulance |
واحد يحاول يكسر باب شقتي | police |
طاح من الدور الثالث | ambulance |
ريحة غاز في المطبخ | civil_defence |
الطراد خرب علينا في وسط البحر | coast_guard |
غرزنا في الرمل وما عندنا ماي | search_rescue |
زوجي يضربني انا وعيالي | police |
اختي تبي تنتحر | police | ambulance
مافي حريق بس ريحة دخان | civil_defence |
ضيعت بنتي في المول | police |
كمرة में धुआँ भर गया है जल्दी आओ | civil_defence |
रसोई में सिलेंडर फट गया | civil_defence |
मेरे पिताजी ज़मीन पर गिर गए और उठ नहीं रहे | ambulance |
बस खाई में गिर गई, बहुत लोग घायल | police | ambulance
पड़ोस में कोई औरत चिल्ला रही है बचाओ बचाओ | police |
एक आदमी बंदूक लेकर दुकान में आया है | police |
बच्चे ने कुछ ज़हरीला पी लिया | ambulance |
मेरे पेट में बहुत तेज दर्द है मैं गर्भवती हूँ | ambulance |
हमारी नाव समुद्र में खराब हो गई | coast_guard |
लिफ्ट बीच में रुक गई है हम अंदर हैं | civil_defence |
दो लड़के आपस में लड़ रहे हैं खून निकल रहा है | police | ambulance
भाई यहाँ बहुत बड़ा एक्सीडेंट हुआ है लोग सड़क पर पड़े हैं | police | ambulance
koi mera purse cheen ke bhaag gaya | police |
bhai room me aag lagi hai sab log bhago | civil_defence |
uncle ko attack aaya hai bol nahi pa rahe | ambulance |
mere dost ko saamp ne kaat liya desert me | ambulance |
mujhe koi follow kar raha hai, dar lag raha hai | police |
accident nahi hua, sirf tyre puncture hai | police | -ambulance
باورچی خانے میں سلنڈر پھٹ گیا | civil_defence |
میرے ابو زمین پر گر پڑے، ہل نہیں رہے | ambulance |
سڑک پر دو گاڑیاں ٹکرا گئیں | police | ambulance
کوئی میرے گھر کا دروازہ توڑ رہا ہے | police |
بچے کے گلے میں کچھ پھنس گیا ہے | ambulance |
ہماری کشتی سمندر میں خراب ہو گئی | coast_guard |
ایک شخص نے پستول نکالی ہے | police |
بھائی نے بہت ساری گولیاں کھا لیں | ambulance |
کمرے سے دھواں نکل رہا ہے | civil_defence |
مجھے نوکری والا مالک مارتا ہے | police |
ہم پہاڑ پر پھنس گئے ہیں | search_rescue |
ഫ്ലാറ്റിൽ നിന്ന് പുക വരുന്നു | civil_defence |
അടുക്കളയിൽ സിലിണ്ടർ പൊട്ടിത്തെറിച്ചു | civil_defence |
ബൈക്ക് ലോറിയിൽ ഇടിച്ചു, രണ്ടുപേർ റോഡിൽ കിടക്കുന്നു | police | ambulance
അച്ഛൻ കുഴഞ്ഞു വീണു മിണ്ടുന്നില്ല | ambulance |
ആരോ എന്റെ വീടിന്റെ വാതിൽ പൊളിക്കുന്നു | police |
അവന്റെ കയ്യിൽ തോക്കുണ്ട് | police |
കുഞ്ഞിന്റെ തൊണ്ടയിൽ എന്തോ കുടുങ്ങി | ambulance |
ഞങ്ങളുടെ ബോട്ടിൽ വെള്ളം കയറുന്നു | coast_guard |
എന്റെ മോളെ രാവിലെ മുതൽ കാണുന്നില്ല | police |
തീ ഒന്നുമില്ല, പുക മാത്രമേ ഉള്ളൂ | civil_defence | -ambulance
enne oral pinthudarunnu pedi aakunnu | police |
lift ninnu poyi njangal ullil aanu | civil_defence |
chettan current adichu kidakkunnu | ambulance |
kettidathil ninnum puka varunnu | civil_defence |
রান্নাঘরে সিলিন্ডার ফেটে আগুন ধরছে | civil_defence |
আব্বা মাটিতে পড়ে গেছে কথা বলতেছে না | ambulance |
বাসের সাথে ট্রাকের সংঘর্ষ, অনেকে আহত | police | ambulance
কেউ আমার দরজা ভাঙার চেষ্টা করছে | police |
ওর হাতে বন্দুক আছে | police |
আমার বন্ধু ঘুমের ওষুধ খেয়ে ফেলছে অনেকগুলা | ambulance |
আমরা পাহাড়ে আটকা পড়ছি | search_rescue |
আমাদের ট্রলার ডুবতেছে সাগরে | coast_guard |
আগুন লাগে নাই, ধোঁয়া দেখা যায় | civil_defence | -ambulance
building er niche theke dhoya ber hocche | civil_defence |
amar bhai machine e hat kete felse onek rokto | ambulance |
malik amake room e atke rakhse | police |
bacha ta pani te pore gese | ambulance |
lift er vitore atke gesi | civil_defence |
umuusok ang kwarto sa taas | civil_defence |
sumabog yung tangke ng gas sa kusina | civil_defence |
bumangga yung bus sa truck, ang daming sugatan | police | ambulance
natumba si lolo, hindi na gumagalaw | ambulance |
may lalaking pilit binubuksan yung pinto ko | police |
may hawak siyang baril | police |
may nabara sa lalamunan ng baby ko | ambulance |
pinapasok na ng tubig ang bangka namin | coast_guard |
uminom siya ng maraming sleeping pills | ambulance |
hindi ko makita ang anak ko dito sa park | police |
wala pong nasugatan, gasgas lang ang kotse | police | -ambulance
sinusundan ako ng lalaki, natatakot ako | police |
huminto yung elevator, nasa loob pa kami | civil_defence |
hinablot ang bag ko ng naka-motor | police |
el beit byewla3 bsor3a | civil_defence |
fi ri7at ghaz 3endna fel sha8a | civil_defence |
sayaratain dakhlaw fi ba3a9' w fi wa7id yinzif | police | ambulance
baba wi2e3 w mish byerod 3alaya | ambulance |
7ad biy7awel yeftah bab el sha2a | police |
rayl m3ah sikin yhadidna | police |
el lanch 7a88na kharab fel ba7ar | coast_guard |
7na m8arzeen fel barr | search_rescue |
okhti akalat 7boob wayed | ambulance |
weldi da5al 7aba f zor w yi5tani8 | ambulance |
mafi shay bas da3mt sayara w ma7ad t3awar | police | -ambulance
hello bhai my room mate is not waking up, kuch bolta nahi | ambulance |
ya jama3a help there is نار in the villa | civil_defence |
kabayan nasunog po yung labor camp please send help | civil_defence |
there is a man on the ground outside carrefour and he is not responding | ambulance |
my son got his hand caught in the washing machine | ambulance |
someone just threw a brick through the shop window and ran | police |
a taxi hit a delivery rider, he is under the car | police | ambulance
water is coming into our car, we are in a wadi near hatta | civil_defence |
the neighbour's balcony is smoking badly | civil_defence |
I hear a woman screaming for help next door | police |
my grandmother can't move her left arm and her speech is strange | ambulance |
jet ski broke and my friend is floating far away | coast_guard |
a guy pulled a gun on the cashier | police |
baby is choking on a grape | ambulance |
our helper locked herself in the bathroom and says she will cut herself | police | ambulance
# A caller who says that nobody is hurt takes nobody off a plan for fires: an ambulance too many goes home again.
there was a small fire but we put it out, nobody hurt | civil_defence | ambulance
الجيران عندهم نار في البلكونة | civil_defence |
سيارة صدمت عمود والسايق ما يتحرك | police | ambulance
جدتي ما ترد علينا وجسمها بارد | ambulance |
واحد سكران يكسر السيارات في المواقف | police |
البنت شربت كلوركس | ambulance |
احنا فوق الجبل والظلام حل ومب عارفين ننزل | search_rescue |
اللفت وقف وفينا ناس كبار | civil_defence |
محد مصاب بس السيارة مسكرة الشارع | police | -ambulance
बगल वाले घर से बहुत धुआँ आ रहा है | civil_defence |
मेरी माँ सीढ़ियों से गिर गईं, हिल नहीं पा रहीं | ambulance |
दो ट्रक आपस में भिड़ गए हैं, ड्राइवर अंदर फंसा है | police | civil_defence
कोई आदमी मेरा पीछा कर रहा है | police |
छोटे बच्चे ने सिक्का निगल लिया | ambulance |
मेरा मालिक मुझे कमरे में बंद करके गया है | police |
gas cylinder me se awaz aa rahi hai aur smell bhi | civil_defence |
bhai jaldi aao ek ladka pani me doob gaya | ambulance |
kisi ne meri gaadi ka sheesha tod diya | police | -ambulance
usko saans lene me dikkat ho rahi hai | ambulance |
koi chot nahi lagi bas gaadi thuki hai | police | -ambulance
فیکٹری میں کیمیکل گر گیا ہے، لوگ کھانس رہے ہیں | civil_defence |
میری دادی کا آدھا جسم کام نہیں کر رہا | ambulance |
دو گروپ لڑ رہے ہیں، ڈنڈے ہیں ان کے پاس | police |
ایک آدمی چھت پر کھڑا ہے، کودنے والا ہے | police | ambulance
لفٹ رک گئی ہے، ہم تین لوگ اندر ہیں | civil_defence |
بچہ گاڑی میں بند ہے اور بے ہوش ہو رہا ہے | ambulance |
അടുത്ത വീട്ടിൽ നിന്ന് തീ ഉയരുന്നു | civil_defence |
ബസ് മറിഞ്ഞു കുട്ടികൾ ഉള്ളിലുണ്ട് | police | ambulance
ഉമ്മയ്ക്ക് ശ്വാസം കിട്ടുന്നില്ല | ambulance |
ആരോ എന്റെ ബാഗ് പിടിച്ചുപറിച്ചു ഓടി | police |
മലയിൽ കുടുങ്ങി ഇറങ്ങാൻ പറ്റുന്നില്ല | search_rescue |
room mate thoongi nilkkunnu | police | ambulance
gas manam varunnu adukkalayil | civil_defence |
bus marinju kure perkku parikku | police | ambulance
পাশের বাসা থেকে অনেক ধোঁয়া আসছে | civil_defence |
রিকশা আর গাড়ির এক্সিডেন্ট, একজনের পা ভেঙে গেছে | police | ambulance
মা শ্বাস নিতে পারছে না | ambulance |
কয়েকজন লোক লাঠি নিয়ে মারামারি করতেছে | police |
আমি পাহাড়ে রাস্তা হারিয়ে ফেলছি | search_rescue |
gari ulte gese driver vitore atke ache | police | civil_defence
amar vai current er tar dhore pore gese | ambulance |
may nag-aaway na lasing sa baba, may hawak na kutsilyo | police |
nabangga ng taxi ang delivery rider | police | ambulance
may lumalabas na usok sa electric panel | civil_defence |
na trap kami sa baha, nasa bubong na kami ng kotse | civil_defence |
hindi na makagalaw ang kalahati ng katawan ni nanay | ambulance |
tinutukan ako ng patalim, kinuha ang wallet ko | police |
sumabit ang kamay niya sa makina | ambulance |
fi 7ad byesra2 el sayara | police |
gadi mo 2adra tetnafas | ambulance |
el 3omara di btewla3 elna2oni | civil_defence |
wa7id 6a7 fel be7ar | coast_guard |
dad dakh w sukara nazil | ambulance |
haz bro meri car ko peeche se thok diya aur bhaag gaya | police |
the curtains caught fire in the hotel room next to ours | civil_defence |
my colleague is having some kind of fit on the floor | ambulance |
I just got rear ended by a pickup, my neck hurts | police | ambulance
a drunk guy is smashing bottles at the metro entrance | police |
my daughter has not come home from school and it is 9 pm | police |
someone left a bag at the airport entrance and ran away | police |
my husband pushed me down the stairs | police | ambulance
there is sparks and a burning smell from the meter room | civil_defence |
our dhow hit something and water is coming in | coast_guard |
we are on the mountain with a broken ankle | search_rescue | ambulance
الدخان طالع من غرفة الكهرباء | civil_defence |
سايق توصيل انضرب وطايح في الشارع | police | ambulance
ابني صارله تشنج من الحرارة | ambulance |
في رجال غريب يلحقني للسيارة | police |
المصعد علق فينا بين دورين | civil_defence |
الموج قلب القارب | coast_guard |
मेरे पड़ोसी के फ्लैट में शॉर्ट सर्किट से आग भड़क गई | civil_defence |
लड़का बिजली के खंभे से चिपक गया | ambulance |
गाड़ी ने बच्चे को टक्कर मार दी | police | ambulance
मेरे पति ने ज़हर खा लिया | ambulance |
mera baccha pool me gir gaya tha, saans nahi aa rahi | ambulance |
teen log talwar leke aaye hain | police |
ہوٹل کے کمرے میں آگ بھڑک اٹھی | civil_defence |
میری بہن کو دورے پڑ رہے ہیں | ambulance |
دو لوگوں نے میرا موبائل چھین لیا | police |
سیلاب کا پانی گھر میں آ گیا | civil_defence |
റൂമിൽ തീ പടരുന്നു | civil_defence |
കുട്ടി ടെറസിൽ നിന്ന് വീണു | ambulance |
ഒരാൾ കത്തിയുമായി ഭീഷണിപ്പെടുത്തുന്നു | police |
vandi marinju driver ullil kudungi | police | civil_defence
ammakku attack vannu vegam ambulance | ambulance |
দোকানে আগুন ছড়িয়ে পড়ছে | civil_defence |
ছেলেটা রাস্তায় গাড়ির নিচে পড়ছে | police | ambulance
আমার মোবাইল ছিনতাই হইছে | police |
amar roommate fashi dise | police | ambulance
may sumiklab na apoy sa likod ng restaurant | civil_defence |
nahimatay yung kasama ko sa init | ambulance |
may sumusunod sa akin na lalaki pauwi | police |
nabunggo kami ng van, duguan ang driver | police | ambulance
nahulog sa dagat ang kasama namin | coast_guard |
3indna 7areeg fel mazra3a | civil_defence |
sayara da3mat walad 9'gheer | police | ambulance
akhooy ma yrid 3alay w wajhah azrag | ambulance |
7ad daz3 el bab w dash el bait | police |
";

/// `words | lead wanted | services brought today`.
const WRONG_TODAY: &str = "
# A meal that burned is no fire, and smoke without one is nobody's word here: the answering room asks.
کوئی آگ نہیں لگی، صرف کھانا جل گیا | civil_defence | police
# The number that a person stands under a machine needs all three; that the ambulance should lead is arguable.
sir emergency, labour log machine ke neeche dab gaya | ambulance | civil_defence police ambulance
";
