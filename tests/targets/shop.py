# SPDX-License-Identifier: Apache-2.0
"""A web shop in Flask, for docs/walkthrough.md and tests/attach/test_web.py: gunicorn shop:app

It knows nothing of memattach. It has the caches that such programs have, each with a bound, and one mistake that is easy to
make: see Metrics."""
import collections
import functools
import time

from flask import Flask, abort, g, jsonify, render_template_string, request

PRODUCTS = 5000
PAGE = """<!doctype html><title>{{ product.name }}</title><h1>{{ product.name }}</h1><p>{{ product.price }}
<ul>{% for other in others %}<li>{{ other.name }}</li>{% endfor %}</ul>"""


class Product:
    def __init__(self, number):
        self.number = number
        self.name = "Product %d" % number
        self.price = 1.0 + number % 97
        self.words = self.name.lower().split()


class Metrics:
    """How long requests took. The mistake: by path, so each visitor's own page is a line of its own, for ever; by
    request.url_rule it would be five lines."""

    def __init__(self):
        self.latencies = {}

    def observe(self, path, seconds):
        self.latencies.setdefault(path, collections.deque(maxlen=100)).append(seconds)


app = Flask(__name__)
catalogue = {i: Product(i) for i in range(PRODUCTS)}
recent_searches = collections.deque(maxlen=2000)
metrics = Metrics()


@functools.lru_cache(maxsize=1000)
def search(word):
    return [p.number for p in catalogue.values() if word in p.name][:20]


@app.before_request
def start_clock():
    g.began = time.perf_counter()


@app.after_request
def stop_clock(response):
    metrics.observe(request.path, time.perf_counter() - g.began)
    return response


@app.get("/")
def home():
    return jsonify(products=len(catalogue), searches=len(recent_searches))


@app.get("/product/<int:number>")
def product(number):
    found = catalogue.get(number) or abort(404)
    others = [catalogue[(number + i) % PRODUCTS] for i in range(1, 6)]
    return render_template_string(PAGE, product=found, others=others)


@app.get("/search")
def find():
    word = request.args.get("q", "")
    recent_searches.append(word)
    return jsonify(search(word))


@app.get("/visitor/<token>/basket")
def basket(token):
    return jsonify(visitor=token, items=[])
