"""Chromium without a window, driven as a person would: Debian's own, by Debian's own driver."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")

WAIT_SECONDS = 30.0

_ARGUMENTS = (
    "--headless",
    # The tests may be root's, in a container without much shared memory.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    # Certificates here sign themselves.
    "--ignore-certificate-errors",
)


class Chromium:
    """A browser on a profile of its own, by its driver."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._asked_for: list[str] = []
        self._said: list[str] = []
        # The page that a new browser shows is its own.
        self.driver.get("about:blank")
        self.requests()
        self._asked_for.clear()

    # What a person does

    def open(self, address: str) -> None:
        """Go there, as by typing the address."""
        self.driver.get(address)

    def type(self, selector: str, text: str) -> None:
        """Put text in place of what stands in a field."""
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def press(self, selector: str) -> None:
        """Press a button, once it is there."""
        self.one(selector).click()

    def one(self, selector: str) -> WebElement:
        """The only element of the kind, once it is there."""
        [found] = self.wait(lambda: self.all(selector), selector)
        return found

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *values: object) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """What the condition is once it holds; fail, naming `what`, where it does not."""
        # What is looked at may belong to a page that is just being left.
        waiting = WebDriverWait(self.driver, WAIT_SECONDS, 0.05, (StaleElementReferenceException,))
        try:
            return waiting.until(lambda _: condition())
        except TimeoutException:
            shown = self.run("return document.body?.innerText")
            raise AssertionError(f"waited for {what}; the page says: {shown}") from None

    # What the browser did

    def requests(self) -> list[str]:
        """The addresses of all that it has asked for."""
        for entry in self._log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self._asked_for.append(event["params"]["request"]["url"])
        return self._asked_for

    def origins(self) -> set[str]:
        """Whom it has asked."""
        return {f"{at.scheme}://{at.netloc}" for at in map(urlsplit, self.requests())}

    def complaints(self) -> list[str]:
        """What it has said against the pages: errors of scripts, what a policy forbade, answers
        that it took for failures.
        """
        self._said += [str(entry["message"]) for entry in self._log("browser")]
        return self._said

    def _log(self, name: str) -> list[dict[str, Any]]:
        """What is new in one of the browser's logs."""
        new: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return new


@contextmanager
def chromium(profile: Path, language: str) -> Iterator[Chromium]:
    """A browser for the block, of somebody who reads that language."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "Chromium is needed: infra/install-debian-packages"
    assert driver, "Chromium's driver is needed: infra/install-debian-packages"
    options = ChromeOptions()
    options.binary_location = program
    for argument in (*_ARGUMENTS, f"--accept-lang={language}", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "WARNING", "performance": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as running:
        yield Chromium(running)
