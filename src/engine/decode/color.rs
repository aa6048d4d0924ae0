//! From the color space a file names to sRGB.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Pixels converted at a time.
const CHUNK_PIXELS: usize = 16 << 10;

/// Converts RGBA pixels from the profile's space to sRGB; whether it did. A
/// profile that is damaged, about another kind of color, or sRGB itself changes
/// nothing.
pub fn to_srgb(rgba: &mut [u8], icc: &[u8]) -> bool {
    if names_srgb(icc) {
        return false;
    }
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        return false;
    };
    let (layout, channels) = match profile.color_space {
        DataColorSpace::Rgb => (Layout::Rgba, 4),
        DataColorSpace::Gray => (Layout::Gray, 1),
        _ => return false,
    };
    let Ok(transform) = profile.create_transform_8bit(
        layout,
        &ColorProfile::new_srgb(),
        Layout::Rgba,
        TransformOptions::default(),
    ) else {
        return false;
    };
    let mut source = Vec::with_capacity(CHUNK_PIXELS * channels);
    let mut target = vec![0; CHUNK_PIXELS * 4];
    for chunk in rgba.chunks_mut(CHUNK_PIXELS * 4) {
        source.clear();
        if channels == 4 {
            source.extend_from_slice(chunk);
        } else {
            source.extend(chunk.chunks_exact(4).map(|pixel| pixel[0]));
        }
        let target = &mut target[..chunk.len()];
        if transform.transform(&source, target).is_err() {
            return false;
        }
        for (pixel, converted) in chunk.chunks_exact_mut(4).zip(target.chunks_exact(4)) {
            pixel[..3].copy_from_slice(&converted[..3]);
        }
    }
    true
}

/// Whether the profile's description says sRGB, as most embedded profiles do: the
/// conversion would cost more than the decoding and change nothing visible.
fn names_srgb(icc: &[u8]) -> bool {
    let word = |at: usize| {
        icc.get(at..at + 4)
            .map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let Some(count) = word(128) else {
        return false;
    };
    let description = (0..count.min(100)).find_map(|i| {
        let entry = 132 + i * 12;
        if icc.get(entry..entry + 4)? != b"desc" {
            return None;
        }
        let start = word(entry + 4)?;
        icc.get(start..start.checked_add(word(entry + 8)?)?)
    });
    description.is_some_and(|text| {
        let contains = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
        contains(b"sRGB") || contains(b"s\0R\0G\0B")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_space_is_converted() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let mut rgba = [0, 255, 0, 200, 128, 128, 128, 255].repeat(20_000);
        assert!(to_srgb(&mut rgba, &icc));
        for pixels in rgba.chunks_exact(8) {
            // The green of P3 lies outside sRGB; gray and alpha stay.
            assert_eq!((pixels[0], pixels[1], pixels[3]), (0, 255, 200));
            assert!(pixels[4..7].iter().all(|c| (127..=129).contains(c)));
        }
    }

    #[test]
    fn srgb_and_garbage_change_nothing() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let mut cut = ColorProfile::new_display_p3().encode().unwrap();
        cut.truncate(200);
        for icc in [&srgb[..], &cut, b"garbage", b""] {
            let mut rgba = [10, 200, 30, 255];
            to_srgb(&mut rgba, icc);
            assert_eq!(rgba, [10, 200, 30, 255]);
        }
    }
}
