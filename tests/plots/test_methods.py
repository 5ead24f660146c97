"""Looks of methods: fixed, apart, in one order."""

from itertools import combinations

from snnviz import plots, rivals
from snnviz.plots.methods import LOOKS, in_words, method_looks, setting_in_words


def test_every_method_has_a_look_of_its_own():
    looks = method_looks((kind, kind) for kind in reversed(LOOKS))
    assert list(looks) == list(LOOKS) == list(rivals.METHODS)
    assert len({look["marker"] for look in looks.values()}) == len(LOOKS)  # in grey print too
    assert looks["dense"]["color"] == plots.DENSE
    assert looks["switched"]["color"] == plots.SWITCHER
    assert plots.SWITCHER not in {looks[name]["color"] for name in list(LOOKS)[3:]}


def test_variants_and_unknown_methods():
    pairs = [("b", "switched"), ("my own", "mine"), ("a", "switched"), ("switched", "switched")]
    looks = method_looks([*pairs, *pairs])
    assert list(looks) == ["switched", "a", "b", "my own"]
    fills = [looks[name]["fillstyle"] for name in ("switched", "a", "b")]
    assert fills == ["full", "none", "left"]
    assert all(one != other for one, other in combinations(looks.values(), 2))


def test_names_in_words():
    names = ("dense", "dense_longer", "l0", "magnitude", "my_own")
    assert [in_words(name) for name in names] == [
        "dense",
        "dense, longer",
        "L0",
        "L1 magnitude",
        "my own",
    ]
    setting = {"network": "vgg_small", "width": 0.5, "classes": 0, "method": "free"}
    assert setting_in_words(setting) == "vgg_small, width ×0.5, all classes, free factors"
    assert setting_in_words({"classes": 5, "noise": 0.25, "share": 0.1}) == (
        "5 classes, noise 0.25, 0.1 of the images"
    )
    assert setting_in_words({"network": "mlp", "share": 1.0}) == "mlp, all images"
