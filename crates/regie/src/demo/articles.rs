//! What the fictional newspaper writes.

/// A section of the newspaper, each a page.
pub struct Section {
    /// Its word in addresses and key-values.
    pub word: &'static str,
    /// Its heading.
    pub name: &'static str,
    /// Topics that the page states to the tag.
    pub topics: &'static str,
    /// Its articles: title, opening, text.
    pub articles: &'static [(&'static str, &'static str, &'static str)],
}

/// All sections, the front page first.
pub const SECTIONS: [Section; 4] = [
    Section {
        word: "front",
        name: "Front page",
        topics: "news",
        articles: &[
            (
                "The night ferry runs again, and the harbour sleeps less",
                "After eleven years the last boat leaves at a quarter past one. Not everybody on the quay is pleased.",
                "The first crossing carried nine passengers, two bicycles and a double bass. By Friday there were ninety. The harbour office counts fewer cars on the bridge after midnight, the baker counts more customers at five, and the residents of Lantern Street count the blasts of the horn. A hearing is set for the end of the month.",
            ),
            (
                "Storm of 1784: divers find a bell that is not the bell",
                "It is bronze, it is old, and it has the wrong year on it.",
                "The museum had cleared a wall. What came up on Tuesday is a ship's bell of 1811, handsome and entirely unexpected, and nobody knows from which ship.",
            ),
            (
                "Bread prices: a loaf with a history",
                "Flour, gas, rent: what a baguette on Market Square is made of.",
                "Four bakers opened their books to the Courier. The dearest part of a loaf, all four agree, is the hour at which it is made.",
            ),
        ],
    },
    Section {
        word: "sport",
        name: "Sport",
        topics: "sport",
        articles: &[
            (
                "Cliff run: the course is one mile longer, nobody knows since when",
                "A schoolteacher measured it with a wheel. The record stands, and is better than thought.",
                "Since at least 2009 the Port Brume cliff run has been a mile too long. The club has apologised to 3,400 finishers, and offers to print their certificates anew.",
            ),
            (
                "Rowers third in the strait, first at the buffet",
                "A strong tide, a broken seat, and a bronze that feels like gold.",
                "The women's eight lost a seat at the second buoy and forty seconds with it, and won back thirty-one.",
            ),
        ],
    },
    Section {
        word: "culture",
        name: "Culture",
        topics: "culture",
        articles: &[
            (
                "The Drowned Bell: an opera tunes itself to the tide",
                "The orchestra sits below the water line. That is the point.",
                "At high water the low strings sound through the hull of the old dry dock. The conductor has a tide table on her desk, beside the score.",
            ),
            (
                "A library of maps, open on Sundays",
                "Two thousand charts, one reading room, no appointment.",
                "Most visitors look for their own house. The librarian has learnt to fold quickly.",
            ),
        ],
    },
    Section {
        word: "politics",
        name: "Local politics",
        topics: "politics",
        articles: &[
            (
                "Forty days to the vote: what the lists want with the harbour",
                "Ferries, homes, or everything as it is. A reader's guide to five programmes.",
                "The Courier has put the same nine questions to all five lists that stand in the Port Brume municipal election. Their answers are printed in full, in the order in which they arrived. Advertisements on this page are sold to every list at the same price, and each says who paid.",
            ),
            (
                "Old quay: the referendum question fits on a postcard",
                "The council argued for six hours about a comma.",
                "\"Shall the old quay be kept as it is?\" Yes or no. The comma is gone.",
            ),
        ],
    },
];

/// Reports of the live page, by tab.
pub const LIVE: [(&str, &str, &[&str]); 3] = [
    (
        "all",
        "Everything",
        &[
            "18:42 Kick-off is delayed: a seal is on the pitch.",
            "18:31 The council is counting hands again.",
            "18:12 Low water; the sandbank café opens.",
        ],
    ),
    (
        "match",
        "The match",
        &["18:42 Kick-off is delayed: a seal is on the pitch.", "18:20 Line-ups: no surprises, one seal."],
    ),
    (
        "council",
        "The council",
        &["18:31 The council is counting hands again.", "18:05 Item four of nineteen."],
    ),
];
