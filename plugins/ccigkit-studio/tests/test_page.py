"""The page in a real browser: what a person does, and what they see."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here (apt-get install chromium)")
Pictures = Callable[..., bytes]
SLOW = 60_000  # milliseconds, on a busy machine
PLACES = ("image", "drawn", "answer", "truth")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: tuple[str, int]) -> Iterator[Any]:
    """The page as it opens; nothing may go wrong in it, nor be asked of anybody else."""
    opened = visit(browser, address)
    yield opened
    opened.close()
    assert opened.faults == []


def visit(browser: Any, address: tuple[str, int], **how: Any) -> Any:
    page = browser.new_page(**{"viewport": {"width": 1400, "height": 1000}, **how})
    page.set_default_timeout(SLOW)
    page.faults = []
    own = "http://{}:{}/".format(*address)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda r: r.url.startswith((own, "data:", "blob:")) or page.faults.append(r.url))
    page.goto(own)
    page.wait_for_selector("body[data-answers]")
    return page


def set_to(page: Any, name: str, share: float) -> None:
    """Move an attribute's slider, and wait for the answer."""
    slider = page.locator(f"li[data-name={name}] input[type=range]")
    slider.evaluate(
        "(e, share) => { e.value = Number(e.min) + share * (e.max - e.min); e.dispatchEvent(new Event('input')); }",
        share,
    )
    settle(page)


def settle(page: Any) -> None:
    """Wait until what is shown answers what is set."""
    chips = page.locator("#chips button").count()
    asked = page.locator("body[data-asked]")
    for _ in range(SLOW // 20):
        said = asked.get_attribute("data-asked")
        if len([word for word in said.split(",") if word]) == chips and not page.locator("body.waiting").count():
            return
        page.wait_for_timeout(20)
    raise AssertionError("no answer came")


def sources(page: Any) -> dict[str, str]:
    return {place: page.locator(f"#{place}").get_attribute("src") for place in PLACES}


def values(page: Any) -> dict[str, str]:
    items = page.locator("#attributes li")
    return {item.get_attribute("data-name"): item.locator(".change").inner_text() for item in items.all()}


def cut(page: Any) -> set[str]:
    return set(page.locator("#graph").get_attribute("data-cut").split())


def test_moving_a_slider_changes_the_picture_and_undoing_it_brings_it_back(page: Any) -> None:
    before = sources(page)
    assert before["answer"] == before["image"], "nothing is set yet"
    set_to(page, "angle", 0.9)
    after = sources(page)
    assert after["answer"] != before["answer"]
    assert after["truth"] != before["truth"]
    assert (after["image"], after["drawn"]) == (before["image"], before["drawn"])
    page.click("#undo")
    settle(page)
    assert sources(page) == before


def test_do_on_a_cause_moves_its_effects_and_on_an_effect_cuts_its_causes(page: Any) -> None:
    before = values(page)
    set_to(page, "angle", 0.9)
    moved = values(page)
    assert "→" in moved["length"]
    assert "→" in moved["position"]
    assert moved["light"] == before["light"]
    assert cut(page) == set(), "nothing causes the angle"
    page.click("#clear")
    settle(page)
    set_to(page, "length", 0.9)
    assert cut(page) == {"angle->length", "light->length"}
    assert values(page)["angle"] == before["angle"]
    assert "cut: " in page.locator("#graph").get_attribute("aria-label")


def test_several_are_done_at_once_and_undone_one_by_one(page: Any) -> None:
    set_to(page, "angle", 0.9)
    set_to(page, "light", 0.1)
    assert page.locator("#chips button").count() == 2
    both = sources(page)["answer"]
    page.locator("#chips button").first.click()
    settle(page)
    assert "light" in page.locator("#chips button").inner_text()
    assert sources(page)["answer"] != both
    page.locator("li[data-name=light] .release").click()
    settle(page)
    assert page.locator("#chips button").count() == 0
    assert sources(page)["answer"] == sources(page)["image"]


def test_the_difference_and_the_command_and_the_file_follow_the_answer(page: Any) -> None:
    set_to(page, "angle", 0.5)
    assert re.search(r"--do angle=0\.\d+", page.locator("#command").inner_text())
    assert re.search(r"do=\{'angle': 0\.\d+\}", page.locator("#python").inner_text())
    assert page.locator("#save").get_attribute("href") == sources(page)["answer"]
    for place in ("image", "truth"):
        page.select_option("#difference", place)
        assert page.locator("#answer-base").get_attribute("src") == sources(page)[place]
        assert "differs" in page.locator("#answer-frame").get_attribute("class")


def test_an_own_picture_is_shown_and_a_bad_one_is_told(page: Any, picture: Pictures, tmp_path: Path) -> None:
    def give(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)

    before = sources(page)["image"]
    give("me.png", picture())
    page.wait_for_selector("#truth-figure", state="hidden")
    assert sources(page)["image"] != before
    assert "me.png" in page.locator("#image-caption").inner_text()
    own = sources(page)
    for name, content, said in (
        ("note.txt", b"hello", "no picture that can be read"),
        ("large.png", bytes(20_000_000), "too large"),
    ):
        give(name, content)
        page.wait_for_selector(f"#error:has-text('{said}')")
        assert sources(page) == own, "what was there stays"
    give("again.png", picture(40, 40))
    page.wait_for_selector("#error", state="hidden")


def test_a_picture_can_be_dropped(page: Any, picture: Pictures) -> None:
    before = sources(page)["image"]
    page.evaluate(
        """(bytes) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            const how = { dataTransfer: carried, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", how));
        }""",
        list(picture()),
    )
    page.wait_for_selector("#image-caption:has-text('dropped.png')")
    page.wait_for_selector("#truth-figure", state="hidden")
    assert sources(page)["image"] != before


def test_two_people_do_not_meet(browser: Any, address: tuple[str, int]) -> None:
    one, other = visit(browser, address), visit(browser, address)
    set_to(one, "angle", 0.9)
    set_to(other, "light", 0.1)
    mine, theirs = sources(one)["answer"], sources(other)["answer"]
    assert mine != theirs
    set_to(one, "angle", 0.2)
    assert sources(other)["answer"] == theirs
    assert "light" not in one.locator("#chips").inner_text()
    assert one.faults == other.faults == []
    one.close()
    other.close()


def test_the_graph_is_edited_and_fitted_and_taken_back(page: Any) -> None:
    set_to(page, "angle", 0.9)
    own = sources(page)["answer"]
    assert "→" in values(page)["length"]
    page.click("#edit")
    assert page.locator("#fit").is_disabled()
    page.get_by_role("button", name="Cut angle → length").click()
    page.click("#fit")
    page.wait_for_selector("#verdict", state="visible")
    page.wait_for_selector("li[data-name=length]:not(.moved)")
    assert sources(page)["answer"] != own
    assert "CausalGraph.from_edges" in page.locator("#python").inner_text()
    page.click("#own")
    page.wait_for_selector("li[data-name=length].moved")
    assert sources(page)["answer"] == own
    page.select_option("#add-cause", "length")
    page.select_option("#add-effect", "angle")
    page.click("#add button")
    page.click("#fit")
    page.wait_for_selector("#error:has-text('cycle')")


def test_the_table_has_the_true_values_and_the_labels(page: Any) -> None:
    set_to(page, "angle", 0.9)
    page.click("#values-details summary")
    page.wait_for_selector("#values td")
    heads = page.locator("#values th").all_inner_texts()
    assert heads == ["attribute", "as read", "then", "then, in truth", "label"]
    angle = page.locator("#values tr:has(td:text-is('angle')) td").all_inner_texts()
    assert angle[2] == angle[3], "what is set is set in truth, too"


def test_seeing_is_shown_beside_doing(page: Any) -> None:
    set_to(page, "angle", 0.5)
    page.click("#see")
    page.wait_for_selector(".means .track")
    assert page.locator(".means .track b.seen").count() == page.locator(".means .track b.done").count() == 3
    assert page.locator("#seen .faces").count() == 3


def test_a_strip_follows_what_is_set(page: Any) -> None:
    page.select_option("#along-name", "light")
    page.wait_for_selector("#along img[alt^=light]")
    before = page.locator("#along img").first.get_attribute("src")
    set_to(page, "angle", 0.9)
    page.wait_for_function("old => document.querySelector('#along img').src !== old", arg=before)


def test_the_keyboard_is_enough(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.id") == "attributes":  # which scrolls, where it is long
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    before = sources(page)["answer"]
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.wait_for_selector("#chips button")
    settle(page)
    assert sources(page)["answer"] != before
    assert "do(" in page.locator("#status").inner_text()
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring != "none", "what has the focus shows it"


def test_everything_has_a_name(page: Any) -> None:
    page.click("#edit")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, img")]
            .filter((e) => e.offsetParent !== null && !e.closest("[aria-hidden=true]"))
            .filter((e) => !(e.ariaLabel || e.alt || e.labels?.length || e.textContent.trim() || e.title
                || document.getElementById(e.getAttribute("aria-labelledby"))))
            .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


# The contrast of two colours by WCAG 2.2, of every text that is shown against what lies behind it.
CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; } return [255, 255, 255]; };
  const texts = [...document.body.querySelectorAll("*")].filter((e) => e.offsetParent !== null && !e.disabled
    && !e.closest(".unseen, option, [aria-hidden=true]")
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
  return texts.map((e) => { const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 70)]; })
    .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_it_fits_and_can_be_read(browser: Any, address: tuple[str, int], width: int, scheme: str) -> None:
    page = visit(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    set_to(page, "angle", 0.9)
    page.click("#edit")
    page.click("#see")
    page.wait_for_selector(".means")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    if folder := os.environ.get("CCIGKIT_SCREENSHOTS"):  # to look at
        page.screenshot(path=Path(folder) / f"studio-{width}-{scheme}.png", full_page=True)
    assert page.faults == []
    page.close()


def test_a_page_elsewhere_cannot_ask(browser: Any, address: tuple[str, int]) -> None:
    page = browser.new_page()
    page.goto("data:text/html,<p>elsewhere")
    host, port = address
    script = f"""async () => {{
        const ask = (how) => fetch("http://{host}:{port}/api/sample", how).then((a) => a.status, () => "refused");
        const picture = new Promise((done) => {{ const i = new Image(); i.onload = () => done("shown");
            i.onerror = () => done("refused"); i.src = "http://{host}:{port}/api/training/samples/2"; }});
        const post = {{ method: "POST", body: "{{}}" }};
        return [await ask(post), await ask({{ ...post, mode: "no-cors" }}), await picture];
    }}"""
    assert page.evaluate(script) == ["refused", "refused", "refused"]
    page.close()
