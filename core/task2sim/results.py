"""results.sqlite: every number of a run, in tables that other tools can read."""

from __future__ import annotations

from task2sim.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY, position INTEGER, role TEXT NOT NULL CHECK (role IN ('seen', 'unseen')), domain TEXT,
    classes INTEGER, train INTEGER, val INTEGER, test INTEGER, fingerprint TEXT
);
CREATE TABLE IF NOT EXISTS parameters (
    name TEXT PRIMARY KEY, position INTEGER, type TEXT NOT NULL, choices TEXT NOT NULL, low REAL,
    high REAL, description TEXT
);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, label TEXT NOT NULL, choices TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    phase TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL, round INTEGER, position INTEGER,
    split TEXT NOT NULL, dataset TEXT NOT NULL, backbone TEXT NOT NULL, images INTEGER NOT NULL,
    render_seconds REAL NOT NULL, pretrain_seconds REAL NOT NULL, score_seconds REAL NOT NULL,
    PRIMARY KEY (phase, setting, replicate)
);
CREATE TABLE IF NOT EXISTS scores (
    phase TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL, task TEXT NOT NULL, split TEXT NOT NULL,
    value REAL NOT NULL, metric TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (phase, setting, replicate, task)
);
CREATE TABLE IF NOT EXISTS embeddings (
    task TEXT PRIMARY KEY, dimension INTEGER NOT NULL, vector BLOB NOT NULL, method TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS distances (
    first TEXT NOT NULL, second TEXT NOT NULL, distance REAL NOT NULL, PRIMARY KEY (first, second)
);
CREATE TABLE IF NOT EXISTS predictions (task TEXT PRIMARY KEY, setting TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS probabilities (
    task TEXT NOT NULL, parameter TEXT NOT NULL, choice TEXT NOT NULL, probability REAL NOT NULL,
    PRIMARY KEY (task, parameter, choice)
);
CREATE TABLE IF NOT EXISTS expectations (
    task TEXT NOT NULL, parameter TEXT NOT NULL, choice TEXT NOT NULL, score REAL NOT NULL,
    PRIMARY KEY (task, parameter, choice)
);
CREATE TABLE IF NOT EXISTS comparison (
    method TEXT NOT NULL, position INTEGER, task TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL,
    PRIMARY KEY (method, task, setting, replicate)
);
CREATE TABLE IF NOT EXISTS stages (name TEXT PRIMARY KEY, position INTEGER, seconds REAL NOT NULL);
"""

UNTRAINED = "untrained"
"""Stands in place of a setting's key for backbones that were not trained."""


class Results(Database):
    """The results of one run, kept in one SQLite file.

    Rows are written as soon as their numbers exist. A run that is taken up begins them anew, from what the store has,
    and so leaves what an undisturbed one leaves.

    Args:
        path: The file; it is made if it is missing.

    Raises:
        StoreError: the file can't be used.
    """

    schema = SCHEMA
    last_table = "stages"
    noun = "results"
    mend = "remove this file and run the study again; the store has what was finished"
