"""A page that shows some pictures with their questions; everything is in the one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import attrs

from task2sim_vqa.balance import Guess
from task2sim_vqa.vqa_v2 import whole_file


@attrs.frozen
class SampleImage:
    """A picture of the page, with its twin if it has one.

    Attributes:
        image_id: The image's id.
        pictures: PNG files: the image's, and its twin's.
        questions: For each picture: family, question, answer, and whether the answer differs between the two.
        edit: What was edited for the twin, or an empty text.
    """

    image_id: int
    pictures: Sequence[bytes]
    questions: Sequence[Sequence[tuple[str, str, str, bool]]]
    edit: str


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #26282b; background: #f4f3f0; margin: 2rem auto;
       max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 0 0 .5rem; }
section { background: #fff; border: 1px solid #ddd9d2; border-radius: 6px; padding: 1rem; margin: 1rem 0;
          display: flex; flex-wrap: wrap; gap: 1.5rem; }
section > h2 { flex: 1 0 100%; }
figure { margin: 0; flex: 1 1 30rem; display: flex; gap: 1rem; align-items: flex-start; }
img { width: 15rem; image-rendering: auto; border-radius: 3px; flex: none; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
td:nth-child(n+2).number, th.number { text-align: right; }
.family { color: #86827a; font-size: .8rem; } .answer { font-weight: 600; } .changed .answer { color: #b3401f; }
nav { position: sticky; top: 0; background: #f4f3f0; padding: .5rem 0; } nav label { margin-right: 1rem; }
"""

SCRIPT = """
const boxes = document.querySelectorAll('nav input');
boxes.forEach(box => box.addEventListener('change', () => {
  const shown = new Set([...boxes].filter(b => b.checked).map(b => b.value));
  document.querySelectorAll('tr[data-family]').forEach(row => row.hidden = !shown.has(row.dataset.family));
}));
"""


def write_sample(
    path: Path, samples: Sequence[SampleImage], guesses: Sequence[Guess], images: int, twins: int, questions: int
) -> None:
    """Write the page.

    Args:
        path: Where.
        samples: What it shows.
        guesses: What the questions give away by themselves, family by family.
        images: How many there are in all, without twins.
        twins: How many twins.
        questions: How many questions.
    """
    families = sorted({row[0] for sample in samples for rows in sample.questions for row in rows})
    boxes = "".join(
        f'<label><input type="checkbox" value="{escape(name)}" checked> {escape(name)}</label>' for name in families
    )
    rows = "".join(
        f'<tr><td>{escape(guess.family)}</td><td class="number">{guess.questions}</td>'
        f'<td class="number">{guess.chance:.1%}</td><td class="number">{guess.accuracy:.1%}</td></tr>'
        for guess in guesses
    )
    table = (
        '<table><tr><th>family</th><th class="number">questions</th><th class="number">chance</th>'
        f'<th class="number">question alone</th></tr>{rows}</table>'
    )
    with whole_file(path) as file:
        file.write(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures with questions</title>'
            f"<style>{STYLE}</style><h1>{images} pictures, {twins} edited twins, {questions} questions</h1>"
            "<p>Chance is the most frequent answer to questions of a form; beside it, how far the best guess gets "
            f"that reads the question and does not see the picture.</p>{table}<nav>{boxes}</nav>"
        )
        for sample in samples:
            title = f"Image {sample.image_id}" + (f"; the twin {escape(sample.edit)}" if sample.edit else "")
            file.write(f"<section><h2>{title}</h2>")
            for picture, entries in zip(sample.pictures, sample.questions, strict=True):
                data = base64.b64encode(picture).decode("ascii")
                lines = "".join(
                    f'<tr data-family="{escape(family)}"{" class=changed" if changed else ""}>'
                    f'<td>{escape(text)}</td><td class="answer">{escape(answer)}</td>'
                    f'<td class="family">{escape(family)}</td></tr>'
                    for family, text, answer, changed in entries
                )
                file.write(f'<figure><img alt="" src="data:image/png;base64,{data}"><table>{lines}</table></figure>')
            file.write("</section>")
        file.write(f"<script>{SCRIPT}</script></html>\n")
