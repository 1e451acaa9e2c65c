//! QR codes as SVG: one path of dark squares on white, with the quiet zone that scanners need.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around a code (ISO/IEC 18004).
const QUIET: usize = 4;

/// `text` as a QR code, `width` wide in any unit of CSS. `None` when it is too long for one (some 2,300 bytes).
///
/// A quarter of the modules may be unreadable: paper gets folded and stained.
pub fn svg(text: &str, width: &str, title: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::Q).ok()?;
    let side = code.width();
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", at % side + QUIET, at / side + QUIET);
        }
    }
    let whole = side + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" width=\"{width}\" \
         height=\"{width}\" viewBox=\"0 0 {whole} {whole}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{whole}\" height=\"{whole}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_hold_the_finder_patterns_and_the_border_is_white() {
        let svg = svg("HELLO", "40mm", "a greeting").unwrap();
        let dark: Vec<(usize, usize)> = svg
            .split("M")
            .skip(1)
            .map(|part| {
                let (x, rest) = part.split_once(' ').unwrap();
                (x.parse().unwrap(), rest.split_once('h').unwrap().0.parse().unwrap())
            })
            .collect();
        // Version 1 has 21 modules.
        assert!(svg.contains("viewBox=\"0 0 29 29\""), "{svg}");
        for (left, top) in [(4, 4), (18, 4), (4, 18)] {
            for step in 0..7 {
                for edge in [(left + step, top), (left + step, top + 6), (left, top + step), (left + 6, top + step)] {
                    assert!(dark.contains(&edge), "{edge:?}");
                }
            }
            assert!(!dark.contains(&(left + 1, top + 1)) && dark.contains(&(left + 3, top + 3)));
        }
        assert!(dark.iter().all(|(x, y)| (4..25).contains(x) && (4..25).contains(y)));
    }

    #[test]
    fn what_is_too_long_for_a_code_is_none() {
        assert!(svg(&"x".repeat(5000), "40mm", "").is_none());
    }
}
