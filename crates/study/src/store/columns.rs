//! Columns of a chunk: whole numbers packed to the fewest bytes, frame of reference.
//!
//! Layout of one column: `scale` (i64 LE), `base` (i64 LE), `width` (0, 1, 2, 4 or 8), then
//! `(value / scale - base)` as unsigned little-endian of that width. Width 0 holds nothing: every value
//! is `base * scale`. Text: 32-bit ends, then the bytes. Refuses a blob that does not fit its own header.

/// Largest number of facts in a chunk.
pub const CHUNK_ROWS_MAX: usize = 1 << 16;

/// Columns of a chunk; the number is part of the stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Column {
    /// Index into the subjects.
    Subject = 0,
    /// Word: region, state.
    Place = 1,
    /// Word: election or cycle.
    Election = 2,
    /// Word: currency code.
    Currency = 3,
    /// First day of the fact's period.
    From = 4,
    /// Days from first to last.
    Days = 5,
    /// Published lower value, micros.
    Lower = 6,
    /// Upper minus lower plus one, or 0 when the upper is unknown; micros.
    Width = 7,
    /// Impressions, lower.
    ViewsLower = 8,
    /// As `Width`, for impressions.
    ViewsWidth = 9,
    /// Number of ads.
    Ads = 10,
    /// Text of the item (ad) id.
    Item = 11,
}

impl Column {
    /// Number of whole-number columns.
    pub const NUMBERS: usize = 11;
    /// All of them, in storage order.
    pub const ALL: [Column; 12] = [
        Column::Subject,
        Column::Place,
        Column::Election,
        Column::Currency,
        Column::From,
        Column::Days,
        Column::Lower,
        Column::Width,
        Column::ViewsLower,
        Column::ViewsWidth,
        Column::Ads,
        Column::Item,
    ];
}

/// Packs whole numbers.
pub fn pack(values: &[i64]) -> Vec<u8> {
    // Division by a constant is a multiplication; by a variable it would be most of an import's time.
    if values.iter().all(|v| v % 1_000_000 == 0) {
        pack_scaled(values, 1_000_000, |v| v / 1_000_000)
    } else if values.iter().all(|v| v % 10_000 == 0) {
        pack_scaled(values, 10_000, |v| v / 10_000)
    } else {
        pack_scaled(values, 1, |v| v)
    }
}

#[inline(always)]
fn pack_scaled(values: &[i64], scale: i64, scaled: impl Fn(i64) -> i64) -> Vec<u8> {
    let (mut base, mut top) = (i64::MAX, i64::MIN);
    for value in values {
        let value = scaled(*value);
        (base, top) = (base.min(value), top.max(value));
    }
    if values.is_empty() {
        (base, top) = (0, 0);
    }
    let span = i128::from(top) - i128::from(base);
    let width = match span {
        0 => 0u8,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let mut out = Vec::with_capacity(17 + values.len() * usize::from(width));
    out.extend(scale.to_le_bytes());
    out.extend(base.to_le_bytes());
    out.push(width);
    let offset = |v: &i64| scaled(*v).wrapping_sub(base) as u64;
    match width {
        0 => {}
        1 => out.extend(values.iter().map(|v| offset(v) as u8)),
        2 => fill(&mut out, values, |v| (offset(v) as u16).to_le_bytes()),
        4 => fill(&mut out, values, |v| (offset(v) as u32).to_le_bytes()),
        _ => fill(&mut out, values, |v| offset(v).to_le_bytes()),
    }
    out
}

/// Appends each value's bytes.
#[inline(always)]
fn fill<const N: usize>(out: &mut Vec<u8>, values: &[i64], bytes: impl Fn(&i64) -> [u8; N]) {
    let from = out.len();
    out.resize(from + values.len() * N, 0);
    for (place, value) in out[from..].chunks_exact_mut(N).zip(values) {
        place.copy_from_slice(&bytes(value));
    }
}

/// Unpacks `rows` numbers into `out`; `None` when the blob does not hold them.
pub fn unpack(blob: &[u8], rows: usize, out: &mut Vec<i64>) -> Option<()> {
    out.clear();
    let scale = i64::from_le_bytes(blob.get(0..8)?.try_into().ok()?);
    let base = i64::from_le_bytes(blob.get(8..16)?.try_into().ok()?);
    let width = usize::from(*blob.get(16)?);
    let body = blob.get(17..)?;
    if body.len() != rows.checked_mul(width)? {
        return None;
    }
    let value = |offset: u64| base.wrapping_add(offset as i64).wrapping_mul(scale);
    match width {
        0 => out.resize(rows, value(0)),
        1 => out.extend(body.iter().map(|b| value(u64::from(*b)))),
        2 => out.extend(body.chunks_exact(2).map(|c| value(u64::from(u16::from_le_bytes([c[0], c[1]]))))),
        4 => out.extend(
            body.chunks_exact(4).map(|c| value(u64::from(u32::from_le_bytes([c[0], c[1], c[2], c[3]])))),
        ),
        8 => out.extend(
            body.chunks_exact(8)
                .map(|c| value(u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))),
        ),
        _ => return None,
    }
    Some(())
}

/// Packs texts.
pub fn pack_texts(ends: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ends.len() * 4 + bytes.len());
    out.extend(ends.iter().flat_map(|e| e.to_le_bytes()));
    out.extend_from_slice(bytes);
    out
}

/// The text at `row` of `rows`; empty when there is none.
pub fn text_at(blob: &[u8], rows: usize, row: usize) -> &[u8] {
    let end = |index: usize| -> Option<usize> {
        let bytes: [u8; 4] = blob.get(index * 4..index * 4 + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    };
    let from = if row == 0 { Some(0) } else { end(row - 1) };
    let body = blob.get(rows * 4..).unwrap_or_default();
    match (from, end(row)) {
        (Some(from), Some(to)) if row < rows && from <= to => body.get(from..to).unwrap_or_default(),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(prop_oneof![any::<i64>(), -1000i64..1000, (0i64..9).prop_map(|v| v * 1_000_000)], 0..200)) {
            let mut out = Vec::new();
            prop_assert!(unpack(&pack(&values), values.len(), &mut out).is_some());
            prop_assert_eq!(out, values);
        }
        #[test]
        fn any_blob_is_read_or_refused(blob in proptest::collection::vec(any::<u8>(), 0..64), rows in 0usize..40) {
            let _ = unpack(&blob, rows, &mut Vec::new());
            let _ = text_at(&blob, rows, rows / 2);
        }
    }

    #[test]
    fn constant_columns_take_no_room() {
        assert_eq!(pack(&[17_000_000; 65_536]).len(), 17);
        let whole: Vec<i64> = (0..1000).map(|v| v * 1_000_000).collect();
        assert_eq!(pack(&whole).len(), 17 + 2000);
    }
}
