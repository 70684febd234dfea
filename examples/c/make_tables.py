"""Print `unicode_tables.h`: what BERT's normaliser and word splitter do to each character, asked of them.

A character becomes a space, nothing, a word of its own (punctuation, Chinese), or others (lower case, accents
off). Hangul is left out: its syllables come apart by arithmetic, in wordpiece.c.
"""

import sys
from collections.abc import Iterable

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7A4)


def main() -> None:
    """Ask about every character, then print both tables."""
    normalize = BertNormalizer(lowercase=True).normalize_str
    split = BertPreTokenizer().pre_tokenize_str
    kinds: dict[str, list[int]] = {"SPACE": [], "NOTHING": [], "WORD": []}
    changes: list[tuple[int, str]] = []
    for code in range(sys.maxunicode + 1):
        if code in SURROGATES or code in HANGUL:
            continue
        become = normalize(chr(code))
        if become in {" ", ""}:
            kinds["SPACE" if become else "NOTHING"].append(code)
            continue
        if become.startswith(" ") or len(split(f"a{chr(code)}a")) == 3:
            kinds["WORD"].append(code)
        if become.strip() != chr(code):
            changes.append((code, become.strip()))
    print("static const Range RANGES[] = {")
    for first, last, kind in sorted((*ends, kind) for kind, codes in kinds.items() for ends in ranges(codes)):
        print(f"    {{{first:#x}, {last:#x}, {kind}}},")
    print("};\nstatic const Change CHANGES[] = {")
    for code, become in changes:
        print(f"    {{{code:#x}, {{{', '.join(f'{ord(letter):#x}' for letter in become)}}}}},")
    print("};")


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Return first and last of each run of neighbours."""
    found: list[tuple[int, int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


if __name__ == "__main__":
    main()
