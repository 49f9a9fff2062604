//! How the demo's ads look: drawings of the project's own, and HTML bundles made from them in three sizes.
//!
//! Each bundle is self-contained, as the product asks of every HTML ad: no script, no font or picture from elsewhere.

use regie_model::creative::{Creative, Size};

/// A drawing (SVG) under `assets/demo`.
macro_rules! art {
    ($name:literal) => {
        include_str!(concat!("../../assets/demo/", $name, ".svg"))
    };
}
/// A picture (PNG) under `assets/demo`.
macro_rules! picture {
    ($name:literal) => {
        include_bytes!(concat!("../../assets/demo/", $name, ".png")).as_slice()
    };
}

/// Leaderboard.
pub const LEADERBOARD: Size = Size { width: 728, height: 90 };
/// Rectangle.
pub const RECTANGLE: Size = Size { width: 300, height: 250 };
/// Billboard: a large ad by MRC's measure (242,500 square pixels).
pub const BILLBOARD: Size = Size { width: 970, height: 250 };

/// Colours and drawing of one advertiser.
pub struct Look {
    /// Background.
    pub ground: &'static str,
    /// Words.
    pub ink: &'static str,
    /// Button.
    pub button: &'static str,
    /// Words on the button.
    pub button_ink: &'static str,
    /// Drawing.
    pub art: &'static str,
}

/// Bikes.
pub const BIKES: Look =
    Look { ground: "#f7f3df", ink: "#16332f", button: "#e4572e", button_ink: "#fff", art: art!("bikes") };
/// Guesthouse.
pub const GUESTHOUSE: Look = Look {
    ground: "#14224f",
    ink: "#fff",
    button: "#ffd76a",
    button_ink: "#14224f",
    art: art!("lighthouse"),
};
/// Coffee.
pub const COFFEE: Look =
    Look { ground: "#f3e3cf", ink: "#3a2414", button: "#2f4858", button_ink: "#fff", art: art!("coffee") };
/// Shoes.
pub const TRAIL: Look =
    Look { ground: "#43203a", ink: "#fff3e6", button: "#f2c14e", button_ink: "#43203a", art: art!("trail") };
/// Opera.
pub const OPERA: Look =
    Look { ground: "#2c0a1c", ink: "#ffe7b0", button: "#c21d41", button_ink: "#fff", art: art!("opera") };
/// Energy.
pub const WIND: Look =
    Look { ground: "#eef7fb", ink: "#123a5c", button: "#3d8059", button_ink: "#fff", art: art!("wind") };
/// Clearance sale.
pub const TIDE: Look =
    Look { ground: "#ffe14d", ink: "#7a0f34", button: "#b3204f", button_ink: "#fff", art: art!("tide") };
/// The newspaper itself.
pub const COURIER: Look =
    Look { ground: "#fbfaf6", ink: "#1d2b36", button: "#1d2b36", button_ink: "#fff", art: art!("courier") };
/// A party.
pub const OPEN_HARBOUR: Look = Look {
    ground: "#0e5a6b",
    ink: "#fff",
    button: "#f6b73c",
    button_ink: "#12303a",
    art: art!("open-harbour"),
};
/// Another party.
pub const FORWARD: Look =
    Look { ground: "#2b2a66", ink: "#fff", button: "#ff7a3d", button_ink: "#231a10", art: art!("forward") };
/// A citizens' initiative.
pub const OLD_QUAY: Look =
    Look { ground: "#f5ead6", ink: "#46301f", button: "#c8553d", button_ink: "#fff", art: art!("old-quay") };

/// Pictures of image and native ads.
pub mod pictures {
    /// Image ad, 300x250.
    pub const GUESTHOUSE_RECTANGLE: &[u8] = picture!("guesthouse-300x250");
    /// Image ad, 728x90.
    pub const GUESTHOUSE_LEADERBOARD: &[u8] = picture!("guesthouse-728x90");
    /// Thumbnail.
    pub const OPERA: &[u8] = picture!("opera");
    /// Thumbnail.
    pub const COFFEE: &[u8] = picture!("coffee");
    /// Thumbnail.
    pub const TRAIL: &[u8] = picture!("trail");
    /// Thumbnail.
    pub const OLD_QUAY: &[u8] = picture!("old-quay");
}

/// What an ad says.
#[derive(Clone, Copy)]
pub struct Words {
    /// Small line above.
    pub over: &'static str,
    /// Headline.
    pub title: &'static str,
    /// Button.
    pub button: &'static str,
}

/// An HTML bundle of one size.
pub fn html(look: &Look, words: Words, size: Size) -> Creative {
    let Look { ground, ink, button, button_ink, art } = look;
    let Size { width, height } = size;
    let place = match size {
        LEADERBOARD => {
            "svg{left:0;top:0;width:170px;height:90px}i{left:170px}.w{left:190px;top:0;height:90px;width:350px}b{font-size:21px}u{right:18px;top:27px}"
        }
        BILLBOARD => {
            "svg{right:0;top:0;width:440px;height:250px}.w{left:44px;top:0;height:180px;width:460px}b{font-size:34px}u{left:44px;bottom:34px;font-size:17px;padding:10px 20px}"
        }
        _ => {
            "svg{left:0;top:0;width:300px;height:128px}.w{left:16px;top:132px;width:268px;height:74px}b{font-size:20px}u{left:16px;bottom:12px}"
        }
    };
    let Words { over, title, button: call } = words;
    let markup = format!(
        "<!doctype html><meta charset=utf-8><style>\
         html,body{{margin:0}}a{{position:relative;display:block;width:{width}px;height:{height}px;overflow:hidden;\
         background:{ground};color:{ink};text-decoration:none;font-family:system-ui,sans-serif}}\
         svg,.w,u{{position:absolute;display:block}}.w{{display:flex;flex-direction:column;justify-content:center}}\
         small{{font-size:12px;letter-spacing:.04em;opacity:.85}}b{{font-family:Georgia,'DejaVu Serif',serif;line-height:1.14}}\
         u{{background:{button};color:{button_ink};border-radius:20px;padding:8px 15px;font-size:14px;font-weight:600;text-decoration:none;transition:transform .15s}}\
         a:hover u{{transform:scale(1.05)}}{place}</style>\
         <a href=\"{{CLICK_URL}}\" target=_blank rel=noopener>{art}\
         <span class=w><small>{over}</small><b>{title}</b></span><u>{call}</u></a>"
    );
    Creative::Html { markup, size }
}
