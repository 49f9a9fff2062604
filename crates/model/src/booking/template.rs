//! A template: slots with assets that multiply to versions, which are never listed.
//!
//! It belongs to an ad and is reviewed with it. A version is one asset of each slot; its code is their mixed radix over the
//! slots' reserved capacities, so that a new asset renumbers nothing. What an asset shows never changes, so that a code means
//! the same for ever and history stays; assets are added and retired. The creative of a code is a function of the template.
//! Refuses combinations that its constraints forbid, and more of anything than its limits.

use super::{LearningContext, Shape};
use crate::{
    Faults, VersionId,
    creative::{Asset, Creative, ObjectHash, Size},
    limits::*,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Slots at most.
pub const SLOTS_COUNT_MAX: usize = 8;
/// Assets that a slot can reserve room for.
pub const SLOT_CAPACITY_MAX: u16 = 512;
/// Pairs that never meet.
pub const NEVER_COUNT_MAX: usize = 4_096;
/// Versions of one template, constraints aside: a code fits a version's number beside the bit that marks it.
pub const CODES_COUNT_MAX: u64 = 1 << 31;
/// Effects of assets, pairs and contexts that can be learned.
pub const EFFECTS_COUNT_MAX: usize = 2_000_000;
/// Marks the number of a template's version. Such a number names a version only together with its ad.
const TEMPLATE_BIT: u32 = 1 << 31;

impl VersionId {
    /// The version of a template with this code; below 2^31.
    pub fn of_template(code: u32) -> VersionId {
        VersionId(code | TEMPLATE_BIT)
    }
    /// The code, where this is a version of its ad's template.
    pub fn template_code(self) -> Option<u32> {
        (self.0 & TEMPLATE_BIT != 0).then_some(self.0 & !TEMPLATE_BIT)
    }
}

/// How assets become a creative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// Words only: slots `title` and, if wanted, `body`.
    Text,
    /// Parts that the page lays out: slots `title` and, if wanted, `body`, `call_to_action`, `image`.
    Native,
    /// HTML with `{slot:NAME}` where a slot's asset goes: text escaped, a picture as its address.
    Html {
        /// The markup, with `{CLICK_URL}`.
        markup: String,
        /// The size it is made for.
        size: Size,
    },
}
impl Layout {
    /// Its shape.
    pub fn shape(&self) -> Shape {
        match self {
            Layout::Text => Shape::Text,
            Layout::Native => Shape::Native,
            Layout::Html { size, .. } => Shape::Banner(*size),
        }
    }
}

/// What can stand in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetSpec {
    /// The words; for a picture its alternative text.
    pub text: String,
    /// The picture, where the asset is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<Asset>,
    /// No longer shown; its history stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// A place for assets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSpec {
    /// Its name: lower-case letters and underscores.
    pub name: String,
    /// How many assets it can ever have; fixed once booked.
    pub capacity: u16,
    /// Its assets so far, by number from 0.
    pub assets: Vec<AssetSpec>,
}

/// One asset of one slot, by numbers from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Which slot.
    pub slot: u8,
    /// Which of its assets.
    pub asset: u16,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    /// How assets become a creative; fixed once booked.
    pub layout: Layout,
    /// The slots; their number, names, capacities and booked assets are fixed.
    pub slots: Vec<SlotSpec>,
    /// Assets of two slots that never meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<[Element; 2]>,
    /// What the best combination may depend on; fixed once booked.
    #[serde(default)]
    pub context: LearningContext,
}

impl TemplateSpec {
    /// Names this form of the template: the same for the same layout, assets, constraints and retirements.
    pub fn key(&self) -> u64 {
        let mut eight = [0; 8];
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        eight.copy_from_slice(&ObjectHash::of(&bytes).0[..8]);
        u64::from_le_bytes(eight)
    }
    /// The number of a version: one asset of each slot.
    pub fn encode(&self, assets: &[u16]) -> u32 {
        let mut place = 1u32;
        let mut code = 0u32;
        for (slot, asset) in self.slots.iter().zip(assets) {
            code = code.wrapping_add(u32::from(*asset).wrapping_mul(place));
            place = place.wrapping_mul(u32::from(slot.capacity));
        }
        code
    }
    /// The assets of a code, by slot; `None` where no asset was booked.
    pub fn decode(&self, code: u32) -> Option<Vec<u16>> {
        let mut rest = code;
        let mut assets = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let capacity = u32::from(slot.capacity).max(1);
            let asset = rest % capacity;
            rest /= capacity;
            slot.assets.get(asset as usize)?;
            assets.push(asset as u16);
        }
        (rest == 0).then_some(assets)
    }
    /// Whether these assets may be shown together now: none retired, no pair forbidden.
    pub fn may_show(&self, assets: &[u16]) -> bool {
        let shown = |(slot, asset): (&SlotSpec, &u16)| {
            slot.assets.get(usize::from(*asset)).is_some_and(|asset| !asset.retired)
        };
        let has = |element: &Element| assets.get(usize::from(element.slot)) == Some(&element.asset);
        assets.len() == self.slots.len()
            && self.slots.iter().zip(assets).all(shown)
            && !self.never.iter().any(|[a, b]| has(a) && has(b))
    }
    /// A version that may be shown, if there is one.
    pub fn some_version(&self) -> Option<Vec<u16>> {
        let mut assets = Vec::new();
        let mut steps = 0;
        self.complete(&mut assets, &mut steps).then_some(assets)
    }
    fn complete(&self, assets: &mut Vec<u16>, steps: &mut u32) -> bool {
        *steps += 1;
        let Some(slot) = self.slots.get(assets.len()) else { return true };
        for (number, asset) in (0u16..).zip(&slot.assets) {
            if asset.retired || *steps > 200_000 {
                continue;
            }
            assets.push(number);
            let has = |element: &Element| assets.get(usize::from(element.slot)) == Some(&element.asset);
            if !self.never.iter().any(|[a, b]| has(a) && has(b)) && self.complete(assets, steps) {
                return true;
            }
            assets.pop();
        }
        false
    }
    /// How many versions can be combined now, constraints aside.
    pub fn combinations_count(&self) -> u64 {
        let shown = |slot: &SlotSpec| slot.assets.iter().filter(|a| !a.retired).count() as u64;
        self.slots.iter().map(shown).fold(1, u64::saturating_mul)
    }
    fn asset(&self, name: &str, assets: &[u16]) -> Option<&AssetSpec> {
        let (slot, asset) = self.slots.iter().zip(assets).find(|(slot, _)| slot.name == name)?;
        slot.assets.get(usize::from(*asset))
    }
    /// What a version shows; the same for ever. `None` for a code that no version has.
    pub fn creative(&self, code: u32) -> Option<Creative> {
        self.decode(code).and_then(|assets| self.creative_of(&assets))
    }
    /// What these assets show together.
    pub fn creative_of(&self, assets: &[u16]) -> Option<Creative> {
        let words = |name: &str| self.asset(name, assets).map_or(String::new(), |a| a.text.clone());
        Some(match &self.layout {
            Layout::Text => Creative::Text { title: words("title"), body: words("body") },
            Layout::Native => {
                let image = self.asset("image", assets);
                Creative::Native {
                    title: words("title"),
                    body: words("body"),
                    call_to_action: words("call_to_action"),
                    asset: image.and_then(|i| i.asset.clone()),
                    alt: image.map_or(String::new(), |i| i.text.clone()),
                }
            }
            Layout::Html { markup, size } => {
                let mut filled = markup.clone();
                for (slot, asset) in self.slots.iter().zip(assets) {
                    let asset = slot.assets.get(usize::from(*asset))?;
                    let put = match &asset.asset {
                        Some(picture) => format!("/v1/assets/{}", picture.hash),
                        None => escaped(&asset.text),
                    };
                    filled = filled.replace(&format!("{{slot:{}}}", slot.name), &put);
                }
                Creative::Html { markup: filled, size: *size }
            }
        })
    }
    /// An element in words: its slot and what stands there.
    pub fn words(&self, element: Element) -> String {
        let Some(slot) = self.slots.get(usize::from(element.slot)) else { return String::new() };
        let Some(asset) = slot.assets.get(usize::from(element.asset)) else { return slot.name.clone() };
        let picture = if asset.asset.is_some() { "picture of " } else { "" };
        format!("{} \u{201c}{picture}{}\u{201d}", slot.name, asset.text)
    }
    /// Whether `self` only retires assets of `before` or adds constraints: nothing new can be shown, so no review is needed.
    pub fn only_narrows(&self, before: &TemplateSpec) -> bool {
        let narrower = |(now, then): (&SlotSpec, &SlotSpec)| {
            now.assets.len() == then.assets.len()
                && now
                    .assets
                    .iter()
                    .zip(&then.assets)
                    .all(|(n, t)| same_content(n, t) && n.retired >= t.retired)
        };
        self.is_continuation_of(before).is_ok()
            && self.slots.iter().zip(&before.slots).all(narrower)
            && before.never.iter().all(|pair| self.never.contains(pair))
    }
    /// Whether every code keeps its meaning after an edit of `before`.
    ///
    /// # Errors
    /// The field that may not change.
    pub fn is_continuation_of(&self, before: &TemplateSpec) -> Result<(), String> {
        if self.layout != before.layout {
            return Err("layout".into());
        }
        if self.context != before.context {
            return Err("context".into());
        }
        if self.slots.len() != before.slots.len() {
            return Err("slots".into());
        }
        for (index, (now, then)) in self.slots.iter().zip(&before.slots).enumerate() {
            if now.name != then.name || now.capacity != then.capacity {
                return Err(format!("slots[{index}]"));
            }
            let kept = now.assets.iter().zip(&then.assets).all(|(n, t)| same_content(n, t));
            if !kept || now.assets.len() < then.assets.len() {
                return Err(format!("slots[{index}].assets"));
            }
        }
        Ok(())
    }
    /// Adds every fault found. `origins` are the ad's third-party origins.
    pub fn check(&self, field: &str, origins: &[String], faults: &mut Faults) {
        let at = |name: &str| format!("{field}.{name}");
        let count = self.slots.len();
        let many = format!("1 to {SLOTS_COUNT_MAX} slots; these are {count}.");
        faults.when(!(1..=SLOTS_COUNT_MAX).contains(&count), at("slots"), "out_of_range", many);
        let codes = self.slots.iter().map(|s| u64::from(s.capacity)).try_fold(1u64, u64::checked_mul);
        let fits = codes.is_some_and(|codes| codes <= CODES_COUNT_MAX);
        faults.when(
            !fits,
            at("slots"),
            "too_many",
            format!("At most {CODES_COUNT_MAX} combinations of what is reserved."),
        );
        let sizes: Vec<usize> =
            self.slots.iter().map(|s| usize::from(s.capacity)).chain([self.context.count()]).collect();
        let pairs = sizes.iter().enumerate().flat_map(|(n, a)| sizes[n + 1..].iter().map(move |b| a * b));
        let effects = sizes.iter().sum::<usize>() + pairs.sum::<usize>();
        let why = format!(
            "{effects} effects of assets, pairs and contexts; at most {EFFECTS_COUNT_MAX}. Reserve less room."
        );
        faults.when(effects > EFFECTS_COUNT_MAX, at("slots"), "too_many", why);
        let mut names = BTreeSet::new();
        for (index, slot) in self.slots.iter().enumerate() {
            self.check_slot(&at(&format!("slots[{index}]")), slot, faults);
            faults.when(
                !names.insert(&slot.name),
                at(&format!("slots[{index}].name")),
                "taken",
                "Another slot has this name.",
            );
        }
        let titled = matches!(self.layout, Layout::Html { .. }) || names.contains(&"title".to_owned());
        faults.when(!titled, at("slots"), "missing", "Words need a slot \"title\".");
        self.check_never(&at("never"), faults);
        if faults.0.is_empty() {
            match self.some_version() {
                None => faults.add(at("never"), "contradiction", "The constraints leave no version to show."),
                Some(assets) => self.check_creatives(field, &assets, origins, faults),
            }
        }
    }
    fn check_slot(&self, field: &str, slot: &SlotSpec, faults: &mut Faults) {
        let named = !slot.name.is_empty() && slot.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        faults.when(
            !named || slot.name.len() > 32,
            format!("{field}.name"),
            "malformed",
            "Lower-case letters and underscores.",
        );
        let known = match &self.layout {
            Layout::Text => ["title", "body"].contains(&slot.name.as_str()),
            Layout::Native => ["title", "body", "call_to_action", "image"].contains(&slot.name.as_str()),
            Layout::Html { markup, .. } => markup.contains(&format!("{{slot:{}}}", slot.name)),
        };
        faults.when(!known, format!("{field}.name"), "unknown", "The layout has no place of this name.");
        let room = (1..=SLOT_CAPACITY_MAX).contains(&slot.capacity);
        faults.when(!room, format!("{field}.capacity"), "out_of_range", format!("1 to {SLOT_CAPACITY_MAX}."));
        let full = slot.assets.len() > usize::from(slot.capacity);
        faults.when(
            full,
            format!("{field}.assets"),
            "too_many",
            format!("Room is reserved for {}.", slot.capacity),
        );
        let none = slot.assets.iter().all(|a| a.retired);
        faults.when(none, format!("{field}.assets"), "missing", "At least one asset that may be shown.");
        for (index, asset) in slot.assets.iter().enumerate() {
            let at = format!("{field}.assets[{index}]");
            faults.text(&format!("{at}.text"), &asset.text, TEXT_CHARS_MAX);
            let words_only = !matches!(self.layout, Layout::Html { .. }) && slot.name != "image";
            faults.when(
                words_only && asset.asset.is_some(),
                format!("{at}.asset"),
                "contradiction",
                "Words go here, not a picture.",
            );
            let picture_missing =
                slot.name == "image" && matches!(self.layout, Layout::Native) && asset.asset.is_none();
            faults.when(picture_missing, format!("{at}.asset"), "missing", "A picture goes here.");
            faults.when(
                asset.text.contains("{slot:"),
                format!("{at}.text"),
                "malformed",
                "An asset names no slot.",
            );
        }
    }
    fn check_never(&self, field: &str, faults: &mut Faults) {
        let many = self.never.len() > NEVER_COUNT_MAX;
        faults.when(many, field, "too_many", format!("At most {NEVER_COUNT_MAX}."));
        let known = |e: &Element| {
            self.slots.get(usize::from(e.slot)).is_some_and(|slot| usize::from(e.asset) < slot.assets.len())
        };
        for (index, [a, b]) in self.never.iter().enumerate() {
            let sound = a.slot != b.slot && known(a) && known(b);
            faults.when(
                !sound,
                format!("{field}[{index}]"),
                "unknown",
                "Name assets of two different slots.",
            );
        }
    }
    /// Every asset once, beside others: whatever any version shows is checked.
    fn check_creatives(&self, field: &str, some: &[u16], origins: &[String], faults: &mut Faults) {
        for (slot, spec) in self.slots.iter().enumerate() {
            for asset in 0..spec.assets.len() as u16 {
                let mut assets = some.to_vec();
                assets[slot] = asset;
                let mut inner = Faults::new();
                if let Some(creative) = self.creative_of(&assets) {
                    creative.check(field, origins, &mut inner);
                }
                for fault in inner.0 {
                    faults.add(format!("{field}.slots[{slot}].assets[{asset}]"), &fault.code, fault.message);
                }
                if !faults.0.is_empty() {
                    return;
                }
            }
        }
    }
}

fn same_content(a: &AssetSpec, b: &AssetSpec) -> bool {
    a.text == b.text && a.asset == b.asset
}
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, capacity: u16, texts: &[&str]) -> SlotSpec {
        let asset = |text: &&str| AssetSpec { text: (*text).into(), asset: None, retired: false };
        SlotSpec { name: name.into(), capacity, assets: texts.iter().map(asset).collect() }
    }
    fn text() -> TemplateSpec {
        TemplateSpec {
            layout: Layout::Text,
            slots: vec![
                slot("title", 10, &["Warm socks", "Dry boots"]),
                slot("body", 8, &["Now.", "Soon.", "Here."]),
            ],
            never: vec![[Element { slot: 0, asset: 1 }, Element { slot: 1, asset: 1 }]],
            context: LearningContext::None,
        }
    }
    fn faults(spec: &TemplateSpec) -> Vec<String> {
        let mut faults = Faults::new();
        spec.check("template", &[], &mut faults);
        faults.0.iter().map(|f| format!("{} {}", f.field, f.code)).collect()
    }

    #[test]
    fn a_code_is_one_version_for_ever() {
        let before = text();
        assert_eq!(faults(&before), Vec::<String>::new());
        let code = before.encode(&[1, 2]);
        assert_eq!((code, before.decode(code)), (21, Some(vec![1, 2])));
        let mut after = before.clone();
        after.slots[0].assets.push(AssetSpec { text: "Light shoes".into(), asset: None, retired: false });
        after.slots[1].assets[0].retired = true;
        assert_eq!(after.is_continuation_of(&before), Ok(()));
        assert_eq!(after.creative(code), before.creative(code));
        assert!(!after.only_narrows(&before), "a new asset waits for review");
        let mut narrower = before.clone();
        narrower.slots[1].assets[0].retired = true;
        assert!(narrower.only_narrows(&before) && !before.only_narrows(&narrower));
        after.slots[0].assets[0].text = "Other words".into();
        assert_eq!(after.is_continuation_of(&before), Err("slots[0].assets".into()));
        let id = VersionId::of_template(code);
        assert_eq!((id.template_code(), VersionId(21).template_code()), (Some(code), None));
    }
    #[test]
    fn constraints_hold() {
        let spec = text();
        assert!(
            spec.may_show(&[1, 0])
                && !spec.may_show(&[1, 1])
                && !spec.may_show(&[2, 0])
                && !spec.may_show(&[1])
        );
        assert_eq!(spec.combinations_count(), 6);
        let mut impossible = spec;
        let pair = |a, b| [Element { slot: 0, asset: a }, Element { slot: 1, asset: b }];
        impossible.never = (0..2).flat_map(|a| (0..3).map(move |b| pair(a, b))).collect();
        assert_eq!(faults(&impossible), ["template.never contradiction"]);
    }
    #[test]
    fn html_is_filled_and_escaped() {
        let mut spec = text();
        let size = Size { width: 300, height: 250 };
        let markup = "<a href=\"{CLICK_URL}\"><b>{slot:title}</b>{slot:body}</a>".to_owned();
        spec.layout = Layout::Html { markup, size };
        spec.slots[0].assets[0].text = "<script>".into();
        assert_eq!(faults(&spec), Vec::<String>::new());
        let Some(Creative::Html { markup, .. }) = spec.creative(0) else { panic!() };
        assert_eq!(markup, "<a href=\"{CLICK_URL}\"><b>&lt;script&gt;</b>Now.</a>");
        assert_eq!(spec.layout.shape(), Shape::Banner(size));
        spec.slots[1].assets[2].text = "https://elsewhere.example/x.js".into();
        assert_eq!(faults(&spec), ["template.slots[1].assets[2] third_party"]);
    }
    #[test]
    fn what_cannot_be_is_refused() {
        let mut spec = text();
        spec.slots[0].capacity = 1;
        spec.slots[1].name = "Colour".into();
        let found = faults(&spec);
        assert!(found.contains(&"template.slots[0].assets too_many".into()), "{found:?}");
        assert!(found.contains(&"template.slots[1].name malformed".into()), "{found:?}");
        let mut wide = text();
        wide.slots = (0..4).map(|_| slot("title", 512, &["a"])).collect();
        assert!(faults(&wide).iter().any(|f| f == "template.slots too_many"));
    }
}
