"""`recsys.yaml`: what is wrong is refused with the key, the value and what would be right."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from recsys_assets.configuration import ConfigurationError
from recsys_assets.models.catalogue import configured_families
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform

EXAMPLE = Path(__file__).parents[1] / "examples" / "online_retail" / "recsys.yaml"


def content(**changes: Any) -> dict[str, Any]:
    """The least that a platform needs; a change is a path of keys joined by two underscores."""
    whole: dict[str, Any] = {
        "first_day": date(2026, 1, 5),
        "sources": {
            "events": {
                "path": "{date}.csv",
                "columns": {"user_id": "who", "item_id": "what", "occurred_at": "when"},
                "event_type": {"default": "purchase"},
            }
        },
        "families": {"popularity": {}},
    }
    for path, value in changes.items():
        *keys, last = path.split("__")
        place = whole
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = value
    return whole


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recsys.yaml"


def load(file: Path, written: dict[str, Any]) -> Platform:
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    return load_platform(file)


def refusal(file: Path, written: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(file, written)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{file}: ") for line in lines)


@pytest.mark.parametrize("path", [BUNDLED_CONFIG, EXAMPLE], ids=["bundled", "online retail"])
def test_the_configurations_that_come_along_are_right_down_to_the_hyper_parameters(path: Path) -> None:
    platform = load_platform(path)
    assert set(configured_families(platform)) == set(platform.families)


def test_little_needs_to_be_said_and_the_rest_has_defaults(file: Path) -> None:
    platform = load(file, content())
    assert (platform.first_day, platform.last_day, platform.time_zone) == (date(2026, 1, 5), None, "UTC")
    assert platform.training.slots == "0 0 * * 1,3,5"
    assert platform.families["popularity"].ranked_days == 365
    assert platform.sources["events"].columns["user_id"].source == "who"


def test_a_history_may_reach_further_back_than_the_training(file: Path) -> None:
    family = load(file, content(families__popularity={"window_days": 30, "history_days": 90})).families["popularity"]
    assert (family.window_days, family.ranked_days) == (30, 90)


def test_the_configuration_cannot_be_changed(file: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(file, content()).time_zone = "Asia/Seoul"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_zon": "UTC"}, "time_zon: unknown key, did you mean 'time_zone'?"),
        ({"training__holdout_day": 7}, "training.holdout_day: unknown key, did you mean 'holdout_days'?"),
        ({"families__popularity__gate__min_ndcg": 1}, "families.popularity.gate.min_ndcg: unknown key, did you mean"),
        ({"rules__bots__max_events": 3}, "rules.bots.max_events: unknown key, did you mean 'max_events_per_day'?"),
        ({"xyzzy": 1}, "xyzzy: unknown key"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    file: Path, changes: dict[str, Any], message: str
) -> None:
    assert refusal(file, content(**changes)).startswith(message)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"first_day": "soon"}, "first_day", "'soon'"),
        ({"training__train_days": "a year"}, "training.train_days", "'a year'"),
        ({"training__train_days": 0}, "training.train_days", "0"),
        ({"event_weights__view": -1}, "event_weights.view", "-1"),
        ({"rules__owned_is_excluded": "perhaps"}, "rules.owned_is_excluded", "'perhaps'"),
        ({"families__popularity__gate__min_ndcg_at_10": 1.5}, "families.popularity.gate.min_ndcg_at_10", "1.5"),
        ({"families__popularity__approval": "never"}, "families.popularity.approval", "'never'"),
        ({"recommendations__list_length": 1001}, "recommendations.list_length", "1001"),
        ({"hit_event": "refund"}, "hit_event", "'refund'"),
        ({"sources__events__format": "xlsx"}, "sources.events.format", "'xlsx'"),
        ({"sources__events__separator": ";;"}, "sources.events.separator", "';;'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(file: Path, changes: dict[str, Any], key: str, value: str) -> None:
    message = refusal(file, content(**changes))
    assert message.startswith(f"{key}: ")
    assert message.endswith(f"(it is {value})")


@pytest.mark.parametrize("key", ["first_day", "sources", "families"])
def test_a_required_key_that_is_missing_is_named(file: Path, key: str) -> None:
    written = content()
    del written[key]
    assert refusal(file, written) == f"{key}: is required and missing"


def test_every_mistake_has_a_line_of_its_own(file: Path) -> None:
    message = refusal(file, content(first_day="soon", training__seed="x", oops=1))
    assert [line.split(":")[0] for line in message.splitlines()] == ["first_day", "training.seed", "oops"]


def test_a_replay_cannot_end_before_it_begins(file: Path) -> None:
    message = refusal(file, content(last_day=date(2026, 1, 4)))
    assert "first_day 2026-01-05 is after last_day 2026-01-04; swap them" in message
    assert load(file, content(last_day=date(2026, 1, 5))).last_day == date(2026, 1, 5)


@pytest.mark.parametrize(("train", "history", "holdout"), [(7, 28, 7), (365, 7, 7)])
def test_the_holdout_must_leave_days_to_train_on(file: Path, train: int, history: int, holdout: int) -> None:
    training = {"train_days": train, "min_history_days": history, "holdout_days": holdout}
    assert "holdout_days must be smaller than train_days and min_history_days" in refusal(
        file, content(training=training)
    )


def test_a_time_zone_that_does_not_exist_is_refused_with_a_near_one(file: Path) -> None:
    message = refusal(file, content(time_zone="Asia/Soul"))
    assert message.startswith("time_zone: no such time zone; write it like Europe/London, did you mean 'Asia/Seoul'?")


class TestSources:
    def test_an_unknown_table_is_refused_with_all_that_there_are(self, file: Path) -> None:
        message = refusal(file, content(sources__orders={"path": "{date}.csv", "columns": {}}))
        assert "'orders' is no table; one of events, items, users, user_blocks, impressions" in message

    def test_events_must_be_mapped(self, file: Path) -> None:
        users = {"users": {"path": "{date}.csv", "columns": {"user_id": "who"}}}
        assert "events must be mapped" in refusal(file, content(sources=users))

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("events.csv", "must contain {date} exactly once"),
            ("{date}/{date}.csv", "must contain {date} exactly once"),
            ("{day}/{date}.csv", "no other braces"),
            ("/data/{date}.csv", "must be relative to the landing"),
            ("../{date}.csv", "stay inside it"),
        ],
    )
    def test_a_path_that_is_no_template_is_refused(self, file: Path, path: str, problem: str) -> None:
        message = refusal(file, content(sources__events__path=path))
        assert message.startswith(f"sources.events.path: {path!r} must")
        assert problem in message

    def test_a_column_that_the_table_does_not_have_is_refused(self, file: Path) -> None:
        message = refusal(file, content(sources__events__columns__colour="c"))
        assert message.startswith("sources: events.columns: 'colour' is no column of events; one of item_id, ")

    def test_a_required_column_that_is_not_mapped_is_named(self, file: Path) -> None:
        written = content()
        del written["sources"]["events"]["columns"]["occurred_at"]
        assert "events.columns: events needs 'occurred_at'; map it to a column of the file" in refusal(file, written)

    def test_only_events_have_a_type(self, file: Path) -> None:
        users = {"path": "{date}.csv", "columns": {"user_id": "who"}, "event_type": {"default": "view"}}
        assert "users.event_type: must be given for events, and only there" in refusal(
            file, content(sources__users=users)
        )
        written = content()
        del written["sources"]["events"]["event_type"]
        assert "events.event_type: must be given for events" in refusal(file, written)

    @pytest.mark.parametrize(
        "event_type",
        [
            {"default": "sale"},
            {"column": "what", "translate": {"S": "sale"}},
            {"default": "purchase", "rules": [{"when": {"column": "q", "below": 0}, "is": "sale"}]},
        ],
    )
    def test_an_unknown_event_type_is_refused_wherever_it_stands(self, file: Path, event_type: dict[str, Any]) -> None:
        message = refusal(file, content(sources__events__event_type=event_type))
        assert "'sale' is no event type; one of view, cart, wish, purchase, refund, rating" in message

    def test_an_event_type_must_be_decided_somehow(self, file: Path) -> None:
        assert "give `column`, `default`, or both" in refusal(file, content(sources__events__event_type={}))

    @pytest.mark.parametrize("column", [{"strip_suffix": ".0"}, {"from": "who", "constant": "me"}])
    def test_a_column_has_exactly_one_origin(self, file: Path, column: dict[str, str]) -> None:
        message = refusal(file, content(sources__events__columns__user_id=column))
        assert message.startswith("sources.events.columns.user_id: give either `from`")

    @pytest.mark.parametrize(
        ("condition", "count"), [({"below": 0, "above": 3}, 2), ({}, 0), ({"equals": "x", "is_missing": False}, 2)]
    )
    def test_a_condition_has_exactly_one_operator(self, file: Path, condition: dict[str, Any], count: int) -> None:
        message = refusal(file, content(sources__events__where=[{"column": "q", **condition}]))
        assert message.startswith("sources.events.where.0: give exactly one of is_missing, equals, matches")
        assert message.endswith(f"not {count}")

    def test_a_pattern_that_is_no_regular_expression_is_refused(self, file: Path) -> None:
        message = refusal(file, content(sources__events__where=[{"column": "q", "matches": "("}]))
        assert message.startswith("sources.events.where.0.matches: not a regular expression")


class TestFamilies:
    def test_popularity_must_be_among_them(self, file: Path) -> None:
        assert "popularity must be among the families: it is the fallback" in refusal(
            file, content(families={"als": {}})
        )

    @pytest.mark.parametrize("name", ["final", "verdicts", "segments", "user_metrics", "blends", "served"])
    def test_the_platforms_own_names_are_taken(self, file: Path, name: str) -> None:
        message = refusal(file, content(**{f"families__{name}": {}}))
        assert f"{name!r} is the platform's own name" in message


class TestFiles:
    def test_a_missing_file_is_named_with_the_variable_that_chooses_it(self, file: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot be read .* set RECSYS_CONFIG to a recsys.yaml"):
            load_platform(file)

    @pytest.mark.parametrize("text", ["", "[]", "first_day"])
    def test_a_file_that_holds_no_keys_is_refused(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="must hold keys and values"):
            load_platform(file)

    def test_a_file_that_is_no_yaml_is_refused_with_the_place(self, file: Path) -> None:
        file.write_text("a: [1,\nb: }", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"is not valid YAML(.|\n)*line 2"):
            load_platform(file)

    def test_a_file_that_is_no_text_is_refused(self, file: Path) -> None:
        file.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load_platform(file)


def test_a_family_configured_twice_is_refused_with_its_name_and_line(file: Path) -> None:
    written = yaml.safe_dump(content(families__als={"window_days": 30}), sort_keys=False)
    file.write_text(f"{written}  als: {{window_days: 60}}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="the key 'als' is given twice, again in line"):
        load_platform(file)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize("key", ["event_weights.purchase", "families.popularity.weight", "rules.half_life_days"])
def test_a_number_that_is_none_is_refused_with_its_key(file: Path, key: str, number: str) -> None:
    written = content(**{key.replace(".", "__"): 1.0})
    file.write_text(yaml.safe_dump(written).replace("1.0", number), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"{key}: Input should be a finite number"):
        load_platform(file)
