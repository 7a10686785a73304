"""Records tokens.json: odd texts and the ids that transformers' CLIPTokenizer gives them when ftfy is installed.

Run from the repository root by `make fixtures`. The vocabulary is the one in ../vocab, in the two files the tokenizer wants.
"""

import gzip
import json
import pathlib
import random
import tempfile
import unicodedata

from ftfy import fix_encoding
from transformers import CLIPTokenizer

here = pathlib.Path(__file__).parent

HAND = """
a photo of an astronaut riding a horse on mars
1girl, solo, silver hair, twintails, blue eyes, school uniform, (masterpiece:1.2), best quality
aris (blue archive), halo, 1girl
 leading,  doubled   and trailing spaces \t\n
UPPER lower MiXeD
it's we're they've I'll I'd can't 'tis o'clock ''s '' 's'S 'RE
'ſ ſtop ſ's
numbers 1 12 123 1,234.56 ½ ² ① Ⅷ ٣ ৪ 10k
emoji 👩‍👩‍👧 👍🏽 🇫🇮 ❤️ ☃
日本語のテキスト、銀髪の少女。 한국어 텍스트 中文字符
ﾊﾝｶｸ ＦＵＬＬ ｗｉｄｔｈ　space，！？
café CAFÉ cafe\u0301 naïve Ångström Å\u030a ñ n\u0303
ﬁne ﬂow oﬀ eﬃcient baﬄe ĳs ŉ ǆ ﬅ
“curly” ‘quotes’ ‚low‛ „ger“ ‟x ʼn ´ ` ″
İstanbul ISPARTA ıspanak ΣΊΣΥΦΟΣ ΑΣ ΑΣ. Σ ΑΣ1 'ΑΣ' ΟΔΟΣ-Σ
straße STRASSE ẞ
Ǆ ǅ ǆ Ⅷ ⓐ Ⓐ
&amp; &lt;b&gt; &eacute; &EACUTE; &#233; &#xe9; &amp;lt; &unknown; &amp &copy;
<b>&amp;</b>
first &amp; line\nsecond <tag> &amp; line\nthird &amp;
<|startoftext|>inside<|endoftext|> and <|STARTOFTEXT|> !<|endoftext|>! <|endoftext <|endoftext|
\x1b[31mred\x1b[0m \x1b[ \x07bell \x00nul \x0bvt \x0cff \x7fdel \x1c\x1d\x1e\x1f sep
zero\u200bwidth joi\u200dner \u200emark \ufeffbom soft\u00adhyphen word\u2060joiner
nbsp\u00a0space en\u2002space line\u2028sep para\u2029sep next\u0085line \u180e \u1680ogham
\u0080 \u0091c1\u0092 \u0099 \u009f \u0081
a\u0300\u0301\u0302\u0303 zalgo Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d
नमस्ते ไทย עברית العربية ქართული Кириллица ἀρχή ᾳ ᾼ
mathematical 𝐁𝐨𝐥𝐝 𝒻𝓇𝒶𝓀 ℝ ℵ ∑∫∂ ≠ ≤ ∞ ° ± × ÷
arrows → ⇒ ↔ box ┌─┐ blocks █▓▒░ braille ⠿
a_b-c/d\\e|f~g`h^i=j+k[l]{m}(n)<o>"p"
...!!!??? --- ___ ,,, ,. ;: @#$%^&*
http://example.com/path?query=1&b=2#frag user@example.com
supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
hahahahahahahahahahahahahahahahahahahahahahahahaha xxxxxxxxxxxx zzzzzzzzzzzz
\U000e0067\U000e007f \U0001d173 \ufff9anno\ufffa\ufffb \ufffc \ufffd \ue000
\u206a\u206f \u202e rtl \u2066
Kelvin K Ohm Ω micro µ long ſ dotless ȷ
""".strip("\n").split("\n")


def random_texts(rng):
    """Mixtures of words, letters of every script, marks, digits, punctuation and spaces."""
    assigned = [chr(c) for c in range(0x20, 0x2FA1E) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co", "Cc")]
    latin = [chr(c) for c in range(0x21, 0x250) if unicodedata.category(chr(c)) != "Cc"]
    words = "girl hair blue eyes smile the of 2 5 's don't , . ( ) : 1.3 _ - masterpiece Hatsune MIKU école".split()
    for i in range(260):
        n = rng.randint(1, 14)
        match i % 4:
            case 0:
                yield " ".join(rng.choice(words) for _ in range(n))
            case 1:
                yield "".join(rng.choice(assigned) for _ in range(n))
            case 2:
                yield "".join(rng.choice(latin + [" "] * 60 + ["'"] * 20) for _ in range(3 * n))
            case 3:
                yield "".join(rng.choice(words + [" ", "", "\u0301", "ß", "Σ", "İ", "\t"]) for _ in range(n))


def tokenizer(folder):
    merges = gzip.open(here.parent / "vocab" / "bpe_merges.txt.gz", "rt", encoding="utf-8").read()
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b]
    chars = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = chars + [c + "</w>" for c in chars]
    tokens += [line.replace(" ", "") for line in merges.split("\n")[1:48895]]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), encoding="utf-8")
    made = CLIPTokenizer(folder / "vocab.json", folder / "merges.txt")
    assert made.fix_text is not None, "ftfy is not installed"
    assert len(made) == 49408
    return made


def main():
    rng = random.Random(7)
    texts = HAND + list(random_texts(rng)) + [
        "first &amp; line\nsecond <tag> &amp; line\nthird &amp;", "a\n\nb\r\nc\rd\te \n",
        "", " ", "\n", "a" * 3000, "girl " * 400]
    with tempfile.TemporaryDirectory() as folder:
        clip = tokenizer(pathlib.Path(folder))
        record = []
        for text in texts:
            record.append({
                "text": text,
                "ids": clip(text, add_special_tokens=False).input_ids,
                "mojibake": fix_encoding(text) != text,
            })
    (here / "tokens.json").write_text(
        "[\n" + ",\n".join(json.dumps(r, ensure_ascii=True, separators=(",", ":")) for r in record) + "\n]\n")


main()
