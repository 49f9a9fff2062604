//! Uploaded files, checked by content and never by name: pictures of four types, with their size in pixels.

use regie_model::creative::Size;

/// A picture as its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageType {
    /// Media type.
    pub media_type: &'static str,
    /// Pixels.
    pub size: Size,
}

/// Type and size of a picture: PNG, JPEG, GIF or WebP; `None` for anything else, or when damaged.
pub fn image_type(bytes: &[u8]) -> Option<ImageType> {
    let (media_type, width, height) =
        png(bytes).or_else(|| gif(bytes)).or_else(|| webp(bytes)).or_else(|| jpeg(bytes))?;
    let size = Size { width: u16::try_from(width).ok()?, height: u16::try_from(height).ok()? };
    (size.width > 0 && size.height > 0).then_some(ImageType { media_type, size })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}
fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}
type Found = Option<(&'static str, u32, u32)>;

fn png(bytes: &[u8]) -> Found {
    let is = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16)? == b"IHDR";
    if is { Some(("image/png", be32(bytes, 16)?, be32(bytes, 20)?)) } else { None }
}
fn gif(bytes: &[u8]) -> Found {
    let is = bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a");
    if is { Some(("image/gif", le16(bytes, 6)?, le16(bytes, 8)?)) } else { None }
}
fn webp(bytes: &[u8]) -> Found {
    if !(bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP") {
        return None;
    }
    let le24 = |at: usize| Some(le16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16);
    match bytes.get(12..16)? {
        b"VP8X" => Some(("image/webp", le24(24)? + 1, le24(27)? + 1)),
        b"VP8 " => Some(("image/webp", le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff)),
        b"VP8L" => {
            let packed = u32::from_le_bytes(bytes.get(21..25)?.try_into().ok()?);
            Some(("image/webp", (packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}
fn jpeg(bytes: &[u8]) -> Found {
    if !bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return None;
    }
    let mut at = 2;
    loop {
        while *bytes.get(at)? == 0xff && *bytes.get(at + 1)? == 0xff {
            at += 1;
        }
        let marker = (*bytes.get(at)? == 0xff).then_some(*bytes.get(at + 1)?)?;
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            return Some(("image/jpeg", be16(bytes, at + 7)?, be16(bytes, at + 5)?));
        }
        at += 2 + be16(bytes, at + 2)? as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[test]
    fn a_gif_is_known_by_its_bytes() {
        let bytes = b"GIF89a\x2c\x01\xfa\x00\x80\x00\x00";
        let want = ImageType { media_type: "image/gif", size: Size { width: 300, height: 250 } };
        assert_eq!(image_type(bytes), Some(want));
        assert_eq!(image_type(b"<svg onload=alert(1)>"), None);
    }
    proptest! {
        #[test]
        fn hostile_bytes_never_panic(head in 0usize..5, tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let heads: [&[u8]; 5] = [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", &[0xff, 0xd8, 0xff]];
            let _ = image_type(&[heads[head], &tail].concat());
        }
    }
}
