"""Names that a person enjoys reading: genres, authors, titles, and the ids under which files know them.

Numbers come in and text goes out; which book has which number is the catalogue's business.
"""

import numpy as np
import polars as pl

from recsys_assets.simulation.rows import Ints, Texts

GENRES = (
    "Fantasy",
    "Romance",
    "Mystery",
    "Science Fiction",
    "Thriller",
    "Historical Fiction",
    "Comics",
    "Young Adult",
    "Biography",
    "Travel",
    "Food & Drink",
    "Poetry",
)


def _listed(words: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(words.split(separator))


_GIVEN = _listed(
    "Ada Agnes Akira Amara Anselm Astrid Basil Beatriz Bora Caspian Cecily Chiara Clement Dahlia Daria "
    "Desmond Edith Elias Elodie Emre Esther Farid Felix Fiona Freya Gideon Greta Hana Hollis Ibrahim "
    "Imogen Ines Ivo Jasper Jiho Juno Kaito Katya Kofi Lale Leander Linnea Lucian Maeve Malik Marta Mina "
    "Nadia Nils Noor Odette Orson Otis Paloma Petra Quentin Rafael Rosalind Rune Sabine Saoirse Seojun "
    "Silas Sunniva Tamsin Teo Thea Ulla Viggo Willa Xenia Yara Yuna Zadie"
)
_FAMILY = _listed(
    "Abernathy Achterberg Adeyemi Almeida Ashdown Bakker Bellweather Berglund Blackwood Brightwater "
    "Calloway Castellan Choi Coldwell Dalgaard Delacroix Draper Eastwick Ellery Fairfax Fennimore "
    "Ferreira Fox Gallagher Ghosh Greenhalgh Hale Hartmann Hawthorne Holloway Ibarra Ishikawa Jansen "
    "Kaplan Karlsson Kimura Kwon Lacey Larkspur Lindqvist Lockhart Marchetti Merriweather Moreau Nakamura "
    "Nightingale Novak Okafor Oyelaran Park Pemberton Quill Ravenscroft Rosenthal Rutherford Sandoval "
    "Sato Seaborne Sinclair Strand Takeda Thackeray Thistlewood Underhill Valdez Vance Vermeer Wainwright "
    "Wexford Winterbourne Yamada Yoon Zeller"
)
_ADJECTIVES = _listed(
    "Amber Ancient Autumn Borrowed Broken Burning Clockwork Copper Crimson Distant Drowned Eastern "
    "Emerald Endless Fallen Forgotten Frozen Gentle Gilded Glass Golden Hidden Hollow Honest Hungry "
    "Invisible Iron Ivory Last Lonely Lost Marble Midnight Moonlit Narrow Northern Painted Paper Patient "
    "Quiet Restless Salt Scarlet Second Secret Silent Silver Sleeping Stolen Sunken Tall Velvet Wandering "
    "White Wild Winter"
)
_NOUNS = _listed(
    "Almanac Archive Atlas Bakery Bell Bridge Cartographer Cathedral Compass Courier Crown Detective "
    "Embassy Empress Ferry Forest Garden Gate Harbour Heir Hotel House Island Kingdom Kitchen Lake "
    "Lantern Letter Library Lighthouse Map Market Mask Meadow Mirror Mountain Museum Observatory Orchard "
    "Orchestra Palace Pianist Queen Railway River Season Shore Song Staircase Station Storm Summer Tailor "
    "Theatre Thief Tide Tower Train Translator Violin Voyage Watchmaker Widow Window"
)
_PLACES = _listed(
    "Ashford, Busan, Calais, Damascus, Elsewhere, Fairhaven, Gdansk, Hallow Bay, Istria, Jeju, Kyoto, "
    "Larkhill, Lisbon, Marrow Lane, Nairobi, Oslo, Penzance, Ravenna, Samarkand, Thornwick, Trieste, "
    "Umbria, Valparaiso, Whitby, Zanzibar",
    separator=", ",
)
# The last two are rare, and there because real titles hold quotes, commas and line ends too.
_PATTERNS = (
    *("The {adjective} {noun}",) * 90,
    *("The {noun} of {place}",) * 45,
    *("{adjective} {noun}",) * 25,
    *("Our {noun} in {place}",) * 25,
    *("The {noun} and the {second}",) * 20,
    *("Letters from {place}",) * 10,
    *('The "{adjective}" {noun}, and Other Stories',) * 3,
    *("The {adjective} {noun}:\nNotes from {place}",) * 2,
)
# Shares no factor with the number of names, so that neighbours in number are no neighbours in name.
_STRIDE = 3_571


def author_name(author: int) -> str:
    """The name of an author; no two numbers share one, because blocks go by name.

    Args:
        author: Number of the author, from 0.
    """
    turn, place = divmod(author, len(_GIVEN) * len(_FAMILY))
    family, given = divmod(place * _STRIDE % (len(_GIVEN) * len(_FAMILY)), len(_GIVEN))
    initials = ""
    while turn:
        turn, letter = divmod(turn - 1, 26)
        initials = f"{chr(ord('A') + letter)}. {initials}"
    return f"{_GIVEN[given]} {initials}{_FAMILY[family]}"


def work_titles(count: int, rng: np.random.Generator) -> Texts:
    """Draw titles of novels and series, shape (count,); two works may share one, as in a real shop."""
    sizes = [len(_PATTERNS), len(_ADJECTIVES), len(_NOUNS), len(_NOUNS) - 1, len(_PLACES)]
    words = rng.integers(sizes, size=(count, len(sizes))).tolist()
    titles = [
        _PATTERNS[pattern].format(
            adjective=_ADJECTIVES[adjective],
            noun=_NOUNS[noun],
            second=_NOUNS[(noun + 1 + second) % len(_NOUNS)],
            place=_PLACES[place],
        )
        for pattern, adjective, noun, second, place in words
    ]
    return np.array(titles, dtype=object)


def volume_title(work: str, volume: int) -> str:
    """The title of one volume of a series."""
    return f"{work}, Vol. {volume}"


def book_ids(books: Ints) -> pl.Series:
    """The ids of books, such as B0000123, in the order of their numbers."""
    return _ids("B", books, digits=7)


def series_ids(works: Ints) -> pl.Series:
    """The ids of series, such as S00012, in the order of the numbers of their works; titles may be shared."""
    return _ids("S", works, digits=5)


def user_ids(users: Ints) -> pl.Series:
    """The ids of users, such as U000045, in the order of their numbers."""
    return _ids("U", users, digits=6)


def numbers_of(ids: pl.Series) -> Ints:
    """The numbers in the ids of books or of users."""
    numbers: Ints = ids.str.slice(1).cast(pl.Int64).to_numpy()
    return numbers


def _ids(letter: str, numbers: Ints, *, digits: int) -> pl.Series:
    return letter + pl.Series(numbers, dtype=pl.Int64).cast(pl.String).str.zfill(digits)
