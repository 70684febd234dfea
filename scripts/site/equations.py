"""Equations as MathML, which browsers draw by themselves: no script and no font is loaded for them."""

import re
from html import unescape

from latex2mathml.converter import convert

_BLOCK = re.compile(r'<pre class="math"><code>(.*?)</code></pre>', re.DOTALL)
_INLINE = re.compile(r"\$<code>(.*?)</code>\$")


def with_equations(html: str) -> str:
    """Return a page with its LaTeX as MathML: blocks of the language `math`, and $`...`$ within a line."""
    html = _BLOCK.sub(lambda found: convert(unescape(found[1]).strip(), display="block"), html)
    return _INLINE.sub(lambda found: convert(unescape(found[1])), html)
