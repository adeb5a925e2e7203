"""How to read each method's maps or pictures, and how they lie: kept on every page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """What a reader must know about a method.

    Args:
        reads: Two sentences on how to read its maps or pictures.
        lies: Two sentences on how they mislead.
        paper: Authors, year and title.
        link: Address of the paper.
    """

    reads: str
    lies: str
    paper: str
    link: str


NOTES: dict[str, Note] = {
    "Saliency": Note(
        reads="Bright pixels are those where a small change would move the score most, up or "
        "down. Look where bright pixels gather, not at single ones.",
        lies="It shows what the score is sensitive to, not what it is made of: a part that "
        "already convinced the model can stay dark. It is noisy, and a few outlying pixels set "
        "the scale.",
        paper="Simonyan, Vedaldi, Zisserman 2013, Deep Inside Convolutional Networks",
        link="https://arxiv.org/abs/1312.6034",
    ),
    "Guided saliency": Note(
        reads="Bright pixels raise the score along paths that are active and positive at every "
        "ReLU. They draw the fine structure that the network's detectors picked up.",
        lies="It comes close to redrawing the edges of the image and hardly changes with the "
        "target, or when the weights of late layers are randomized. Do not take it as the reason "
        "for one class; use it for detail inside a region that another method points out.",
        paper="Springenberg, Dosovitskiy, Brox, Riedmiller 2014, Striving for Simplicity",
        link="https://arxiv.org/abs/1412.6806",
    ),
    "DeconvNet": Note(
        reads="The score is sent back through the network, and only positive signals pass each "
        "ReLU, whether or not it was active. Bright pixels show the pattern that excites what "
        "is explained.",
        lies="Because it does not ask which ReLUs were active, it depends on this image only "
        "through max pooling. Like guided saliency it favours edges and hardly tells classes "
        "apart.",
        paper="Zeiler, Fergus 2013, Visualizing and Understanding Convolutional Networks",
        link="https://arxiv.org/abs/1311.2901",
    ),
    "CAM": Note(
        reads="Hot regions hold features that the class weights of the last layer count in "
        "favour of the class. Before scaling, the map's mean is the class score without its "
        "bias.",
        lies="It is as coarse as the last feature map; the smooth outline is interpolation, not "
        "evidence. Each of its cells has seen much more of the image than the spot it is painted "
        "on.",
        paper="Zhou, Khosla, Lapedriza, Oliva, Torralba 2015, Learning Deep Features for "
        "Discriminative Localization",
        link="https://arxiv.org/abs/1512.04150",
    ),
    "Grad-CAM": Note(
        reads="Hot regions hold features of the chosen layer that raise the score, each weighted "
        "by its gradient averaged over the image. Compare regions within a map, not brightness "
        "between maps: each is scaled by its own peak.",
        lies="Averaging the gradient can light up places that the score does not depend on, and "
        "the map is as coarse as its layer. Evidence against the target is cut away, so an empty "
        "map can mean that all of it was negative.",
        paper="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2016, Grad-CAM",
        link="https://arxiv.org/abs/1610.02391",
    ),
    "Attention rollout": Note(
        reads="Bright patches are those that the last tokens are mixed from, if attention and "
        "residual paths alone mixed them: the product of all layers' attention. Compare patches "
        "within a map, not brightness between maps: each is scaled by its own peak.",
        lies="It does not depend on the target: every class has the same map, and nothing says "
        "whether a bright patch speaks for or against one. It ignores values, output projections "
        "and MLPs, and a token deep in the network no longer stands for its own patch alone.",
        paper="Abnar, Zuidema 2020, Quantifying Attention Flow in Transformers",
        link="https://arxiv.org/abs/2005.00928",
    ),
    "Activation maximization": Note(
        reads="Each picture was made from noise, step by step, so that it excites one unit as much "
        "as possible. What repeats in it is what the unit answers to, somewhere or everywhere in "
        "the picture.",
        lies="It shows one thing that excites the unit very strongly, not all that does, and no "
        "photo looks like it: colours, arrangement and repetition are those of the optimization. "
        "Draw several with different seeds, and look at photos that excite the unit, before "
        "giving it a name.",
        paper="Erhan, Bengio, Courville, Vincent 2009, Visualizing Higher-Layer Features; Olah, "
        "Mordvintsev, Schubert 2017, Feature Visualization",
        link="https://distill.pub/2017/feature-visualization",
    ),
}


def note_for(method: str) -> Note | None:
    """The note of a method, however its name is spelled ("GradCAM", "grad-cam"), or None."""
    return _BY_KEY.get(_key(method))


def _key(method: str) -> str:
    return "".join(character for character in method.casefold() if character.isalnum())


_BY_KEY = {_key(method): note for method, note in NOTES.items()}
