"""End-to-end tests of the tutorial: the shop's services and routes, and every command of services/README.md."""
import json
import os
import re
import signal
import subprocess

from network import REPOSITORY, Network, ToolsRun, eventually

SERVICES = ("customers", "stock", "payments", "orders", "mailer")


def readme_commands():
    """(command, what it prints) of each line that begins with `$ ` in services/README.md, in order."""
    with open(os.path.join(REPOSITORY, "services", "README.md"), encoding="utf-8") as file:
        blocks = [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.S | re.M) if not language]
    out = []
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            out.append((command, printed.strip()))
    return out


def comparable(text):
    """As JSON where it is that: the order of an object's entries means nothing. Otherwise its lines in any order, as headers are."""
    try:
        return json.loads(text)
    except ValueError:
        return sorted(line.strip() for line in text.strip().splitlines())


class Shop(Network):
    def __init__(self, bin_folder):
        super().__init__(bin_folder, pulse="200ms", routes=os.path.join(REPOSITORY, "services", "shop", "routes"))

    def begin(self, pulse, routes):
        super().begin(pulse, routes)
        self.services = {name: self.start(f"waggle-{name}", "--broker", self.endpoint) for name in SERVICES}
        eventually(lambda: self.json("/v1/orders/1001")[0] == self.json("/customers/1")[0] == self.json("/stock")[0] == 200,
                   what="the gateway knows the services")
        # The broker is past its first moments, when it waits for workers of commands that nobody serves.
        eventually(lambda: self.cli("call", "reviews.of_customer", "{}", "--budget", "1s")[0] == 22, within=20)

    def json(self, path, body=None, headers=None):
        """(status, body, headers); twice and more until both threads of the gateway have said the same is the caller's matter."""
        data = None if body is None else json.dumps(body).encode()
        status, got, text = self.get(path, "GET" if body is None else "POST", data,
                                     {**({"Content-Type": "application/json"} if data else {}), **(headers or {})})
        return status, json.loads(text) if text else None, got

    def buy(self, checkout, **changes):
        return self.json("/checkout", {"checkout": checkout, "customer": 1, "sku": "honey", "count": 1, "card": "4111111111111111", **changes})

    def in_stock(self, sku):
        return self.json(f"/stock?sku={sku}")[1]["levels"][0]["count"]


def define(test, bin_folder, in_background):
    """Adds the tests to run.py's."""

    @test("shop: every command of services/README.md prints what stands below it")
    def _():
        commands = readme_commands()
        assert len(commands) >= 20, commands
        with Shop(bin_folder) as shop:
            for command, wanted in commands:
                line = command.replace("http://127.0.0.1:8800", shop.http).replace("build/bin/", bin_folder + "/")

                def printed():
                    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30).stdout
                got = printed()
                if " -d " not in command and comparable(got) != comparable(wanted):
                    # What happens after an answer may be a moment later.
                    try:
                        eventually(lambda: comparable(printed()) == comparable(wanted))
                    except AssertionError:
                        pass
                    got = printed()
                assert comparable(got) == comparable(wanted), (command, got, wanted)

    @test("shop: a dashboard is whole once somebody serves its optional step, and not whole when that one dies")
    def _():
        with Shop(bin_folder) as shop:
            status, body, headers = shop.json("/customers/2/dashboard")
            assert status == 200 and "reviews" not in body and headers["Waggle-Incomplete"] == "reviews", (status, body, headers)
            reviews = shop.python("tests/e2e/reviews_worker.py")
            status, body, headers = shop.json("/customers/2/dashboard")
            assert status == 200 and body["reviews"] == [{"text": "sweet"}] and "Waggle-Incomplete" not in headers, (status, body)
            reviews.stop(signal.SIGKILL)
            eventually(lambda: "reviews" not in shop.json("/customers/2/dashboard")[1])
            shop.services["customers"].stop()
            eventually(lambda: shop.json("/customers/2/dashboard")[0] in (501, 503))

    @test("shop: nine in ten searches meet the old command, and one user always the same")
    def _():
        with Shop(bin_folder) as shop:
            def version(user=None):
                status, body, _headers = shop.json("/search?text=a", headers={"X-User": user} if user else {})
                assert status == 200 and body["customers"], body
                return body["looked_at"]
            new = sum(version() == "names and emails" for _ in range(400))
            assert 10 <= new <= 85, new  # 40 are expected; the odds against this are below one in a million
            by_user = {user: {version(user) for _ in range(4)} for user in map(str, range(100))}
            assert all(len(each) == 1 for each in by_user.values()), by_user
            assert len(set.union(*by_user.values())) == 2, by_user

    @test("shop: a checkout emits its events after the answer, names the new order, and counts once however often it is sent")
    def _():
        with Shop(bin_folder) as shop:
            listening = subprocess.Popen([os.path.join(bin_folder, "waggle"), "--broker", shop.endpoint, "sub", "order.", "checkout."],
                                         stdout=subprocess.PIPE)
            os.set_blocking(listening.stdout.fileno(), False)
            printed = []

            def seen(topic):
                printed.append((listening.stdout.read() or b"").decode())
                return [line for line in "".join(printed).splitlines() if line.startswith(topic + " ")]
            try:
                # Only `sub` itself knows when its subscription is in force.
                eventually(lambda: shop.cli("emit", "order.probe", "{}")[0] == 0 and seen("order.probe"))
                for turn in range(4):
                    status, body, headers = shop.buy("e-1", count=3)
                    assert (status, body) == (201, {"order": 1004, "paid_cents": 1950}), (turn, status, body)
                    assert headers["Location"] == "/v2/orders/1004"
                assert shop.json(headers["Location"])[1]["lines"] == [{"sku": "honey", "count": 3, "price": 650}]
                eventually(lambda: len(seen("checkout.done")) == 4, what="each answer has its event")
                assert '"order":1004' in seen("checkout.done")[0] and '"customer":1' in seen("checkout.done")[0], printed
                assert len(seen("order.placed")) == 1 and '"total_cents":1950' in seen("order.placed")[0], printed
            finally:
                listening.kill()
                listening.wait()
                listening.stdout.close()
            assert shop.in_stock("honey") == 97
            eventually(lambda: shop.json("/customers/1")[1]["points"] == 19)

    @test("shop: whatever step of a checkout fails, its own status is the answer and nothing stays reserved, charged or placed")
    def _():
        with Shop(bin_folder) as shop:
            def clean(checkout):
                eventually(lambda: shop.in_stock("honey") == 100, what="the reservation is released")
                assert [each["id"] for each in shop.json("/customers/1/orders")[1]["orders"]] == [1001, 1002]
                assert shop.json("/customers/1")[1]["points"] == 0
            for checkout, changes, wanted, code in (("f-1", {"card": "0000"}, 400, "FAILED_PRECONDITION"),
                                                    ("f-2", {"customer": 99}, 404, "NOT_FOUND"),
                                                    ("f-3", {"count": 101}, 400, "FAILED_PRECONDITION"),
                                                    ("f-4", {"sku": "nectar"}, 404, "NOT_FOUND"),
                                                    ("f-5", {"count": "many"}, 400, "INVALID_ARGUMENT")):
                status, body, headers = shop.buy(checkout, **changes)
                assert (status, body["code"]) == (wanted, code), (checkout, status, body)
                assert headers["Content-Type"] == "application/problem+json"
                clean(checkout)
            # Orders is gone: the charge has been made by then, and is refunded.
            shop.services["orders"].stop()
            status, body, _headers = shop.buy("f-6")
            assert status in (501, 503), (status, body)
            eventually(lambda: shop.in_stock("honey") == 100, what="the reservation is released")

            def refunded():
                code, out, err = shop.cli("call", "payments.charge", '{"payment":"f-6","card":"1","cents":1}', "--key", "f-6")
                assert code != 0, (out, err)
                return "was refunded" in err
            eventually(refunded)

    @test("tools/run --shop: brings the shop up, and every curl that it shows is answered")
    def _():
        with ToolsRun("--shop") as script:
            commands = re.findall(r"^ +(curl .*)$", script.said, re.M)
            assert len(commands) >= 4, script.said
            for command in commands:
                command += " --max-time 2" if " -N " in command else ""  # which does not end by itself
                got = subprocess.run(["bash", "-c", command + " -sS -w '\\n%{http_code}'"], capture_output=True, text=True, timeout=20)
                assert got.stdout.splitlines()[-1] in ("200", "201"), (command, got)
            script.stop(within=4)
