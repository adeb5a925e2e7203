"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from kerasviz.cli.failures import one_line_errors
from kerasviz.cli.options import Debug, Imports, Labels, Model, Output, Preprocess
from kerasviz.cli.tables import TableFormat

app = typer.Typer(
    name="kerasviz",
    help="Shows what a Keras model looks at, and what it looks for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

study = typer.Typer(
    name="study", help="Run an experiment from end to end, offline.", no_args_is_help=True
)
app.add_typer(study)


def _print_version(wanted: bool) -> None:
    if wanted:
        from kerasviz import __version__

        typer.echo(f"kerasviz {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
@one_line_errors
def demo(
    output: Output = Path("kerasviz-demo"),
    debug: Debug = False,
) -> None:
    """Explain what a pretrained network sees in photos and looks for, offline; print the page."""
    from kerasviz.cli.demo import run_demo

    run_demo(output, debug)


@app.command()
@one_line_errors
def explain(
    model: Model,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="grad-cam, cam, saliency, guided-saliency, deconvnet or attention-rollout; may be "
            "repeated. "
            "Default: all that fit the model.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Layer, as `kerasviz layers` lists it: for the methods named with --method, "
            "without those for grad-cam. Default: chosen and reported.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Class index or label to explain, or a comma-separated list, one an image. "
            "Default: the predicted class.",
        ),
    ] = None,
    preprocess: Preprocess = None,
    labels: Labels = None,
    output: Output = Path("kerasviz-explain"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Explain a model's answers for images, and print the path of the page.

    Each image is turned upright, its shorter side resized to the model's input and the centre cut
    out. Images that cannot be read are named and skipped; the exit code is then 1.
    """
    from kerasviz.cli.explain import ExplainOptions, run_explain

    options = ExplainOptions(
        model=model,
        images=images,
        methods=method or (),
        layer=layer,
        target=target,
        preprocess=preprocess,
        labels=labels,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_explain(options)


@app.command()
@one_line_errors
def visualize(
    model: Model,
    layers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LAYER[:CHANNEL]",
            help="A channel of a layer, as block_13/expand:112; without CHANNEL the layer's first "
            "8. `kerasviz layers` lists the layers.",
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS", help="Class index or label to draw; may be repeated."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Gradient steps. Default: the preset's, 512."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=1,
            help="Height and width. Default: what the model takes; 128 where it takes any size.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed gives the same pictures.")
    ] = 0,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="All other settings: lucid or keras-vis.")
    ] = "lucid",
    preprocess: Preprocess = None,
    labels: Labels = None,
    output: Output = Path("kerasviz-visualize"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Draw pictures that excite channels and classes of a model; print the path of the page.

    The channels of one layer are drawn side by side in one run. Layers that cannot be drawn are
    named; the exit code is then 1.
    """
    from kerasviz.cli.visualize import VisualizeOptions, run_visualize

    options = VisualizeOptions(
        model=model,
        layers=layers or (),
        classes=classes or (),
        steps=steps,
        size=size,
        seed=seed,
        preset=preset,
        preprocess=preprocess,
        labels=labels,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_visualize(options)


@app.command()
@one_line_errors
def attention(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Image files: what gates and heads do on them."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .npy file, or a .npz file with an array an input, instead of images.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATTERN",
            help="Weights to look at: a regular expression of whole addresses; may be repeated. "
            "Default: all attention that is found.",
        ),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Another model to compare with; may be repeated."),
    ] = None,
    preprocess: Preprocess = None,
    output: Output = Path("kerasviz-attention"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Say what a model's attention weights tell, and what its gates and heads do on data.

    Prints a table of the weights and the path of the page. Fusion, squeeze-and-excitation, gates
    of any spelling and stock attention layers are found; other weights are named with --group.
    """
    from kerasviz.cli.attention import AttentionOptions, run_attention

    options = AttentionOptions(
        model=model,
        images=images or (),
        data=data,
        groups=group or (),
        compare=compare or (),
        preprocess=preprocess,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_attention(options)


@app.command(name="channel-gradients")
@one_line_errors
def channel_gradients(
    model: Model,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files: over which to measure.")
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A convolution, or a block of some; may be repeated. Default: all of them.",
        ),
    ] = None,
    definition: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="paper: emission and absorption of single pairs of channels, summed. code: norms "
            "of the gradient before and after each output channel.",
        ),
    ] = "paper",
    batch_statistics: Annotated[
        bool,
        typer.Option(
            "--batch-statistics",
            help="Batch normalization by each image's own statistics, not the moving ones.",
        ),
    ] = False,
    preprocess: Preprocess = None,
    output: Output = Path("kerasviz-channel-gradients"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Measure how much gradient each channel of each convolution absorbs and emits.

    Differentiated is the logit of the predicted class, times its probability. Prints a line a
    layer and the path of the page.
    """
    from kerasviz.cli.channel_gradients import ChannelGradientOptions, run_channel_gradients

    options = ChannelGradientOptions(
        model=model,
        images=images,
        layers=layer or (),
        definition=definition,
        batch_statistics=batch_statistics,
        preprocess=preprocess,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_channel_gradients(options)


@app.command(name="receptive-fields")
@one_line_errors
def receptive_fields(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGES]...",
            help="Image files: fields are drawn on the first, effective ones measured on all.",
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A layer to list and to draw, with its effective field and those of its units; "
            "may be repeated. Default: those that change what is seen, and a few drawn.",
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="224, or HEIGHTxWIDTH: for models that leave it open.",
        ),
    ] = None,
    input_name: Annotated[
        str | None,
        typer.Option("--input", metavar="NAME", help="Which input, for models with several."),
    ] = None,
    preprocess: Preprocess = None,
    output: Output = Path("kerasviz-receptive-fields"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Say how much of the input the units of each layer can see, and draw it.

    Of each --layer also how much of that it uses, on the images or else on noise. Prints a row per
    layer that changes what is seen and the path of the page.
    """
    from kerasviz.cli.receptive_fields import ReceptiveFieldOptions, run_receptive_fields

    options = ReceptiveFieldOptions(
        model=model,
        images=images or (),
        layers=layer or (),
        preprocess=preprocess,
        input_size=input_size,
        input=input_name,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_receptive_fields(options)


@app.command()
@one_line_errors
def profile(
    model: Model,
    input_size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIZE",
            help="Spatial size of the inputs, such as 143x107; repeat it to compare sizes. "
            "Default: the model's own.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples in the step.")] = 8,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="squares: of the outputs, their mean. Or a loss of Keras."
        ),
    ] = "squares",
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="An optimizer of Keras, for the update.")
    ] = "adam",
    freezing: Annotated[
        int,
        typer.Option(min=0, help="At how many numbers of frozen layers to measure what it saves."),
    ] = 4,
    seconds: Annotated[
        float, typer.Option(min=0.001, help="For how long to measure; compiling comes on top.")
    ] = 60.0,
    output: Output = Path("kerasviz-profile"),
    imports: Imports = None,
    debug: Debug = False,
) -> None:
    """Measure where the time of a training step goes: by layer, forward and backward.

    The inputs are random. Prints tables, what they say in words, and the path of the page.
    """
    from kerasviz.cli.profile import ProfileOptions, run_profile

    options = ProfileOptions(
        model=model,
        input_sizes=input_size or (),
        batch_size=batch_size,
        loss=loss,
        optimizer=optimizer,
        freezing=freezing,
        seconds=seconds,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    run_profile(options)


@app.command()
@one_line_errors
def weights(
    model: Model,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A layer, a block of some, or a weight, whose distribution to draw, and what it "
            "reads where if it is a convolution or follows a Flatten; may be repeated.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Another checkpoint of the model: what changed on the way to it?"
        ),
    ] = None,
    connections: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="SOURCE TARGET",
            help="Addresses of two layers: the strongest links from channels of the first to those "
            "of the second.",
        ),
    ] = None,
    circuit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER:CHANNEL",
            help="A channel: its strongest inputs in the layer before, and theirs in the one "
            "before that; may be repeated.",
        ),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Gradient steps of a channel's picture; 0 draws none."
        ),
    ] = 64,
    output: Output = Path("kerasviz-weights"),
    imports: Imports = None,
    debug: Debug = False,
) -> None:
    """Say which layers look unusual, and describe every weight; needs no data.

    Prints what was found and the path of the page.
    """
    from kerasviz.cli.weights import WeightOptions, run_weights

    options = WeightOptions(
        model=model,
        layers=layer or (),
        compare=compare,
        connections=connections,
        circuits=circuit or (),
        steps=steps,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    run_weights(options)


@app.command()
@one_line_errors
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that watchers wrote.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. Default: report.html in the folder."),
    ] = None,
    fits: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="At how many epochs to fit watched receptive fields, some hundredths of a second "
            "a unit each. Default: 8.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the page of a training run: what to notice, curves, distributions; print its path.

    Layers whose receptive fields were watched get pages with a slider beside it.
    """
    from kerasviz.cli.run_report import run_report

    run_report(run, output, debug, fits)


@app.command()
@one_line_errors
def layers(
    model: Model,
    imports: Imports = None,
    form: Annotated[
        TableFormat, typer.Option("--format", help="How to print the table.")
    ] = TableFormat.TABLE,
    debug: Debug = False,
) -> None:
    """List a model's layers with the addresses that --layer takes."""
    from kerasviz.cli.layers import run_layers

    run_layers(model, imports or (), form, debug)


@app.command()
@one_line_errors
def simulate(
    kind: Annotated[
        str, typer.Argument(metavar="[dense|cnn]", help="Dense layers, or convolutions.")
    ] = "dense",
    multiplier_mean: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="What attention multiplies by, on average: 1 + the mean of its kernels. "
            "Default: 1.071.",
        ),
    ] = None,
    multiplier_std: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Its standard deviation. Default: 0.253.")
    ] = None,
    bias_mean: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="What attention adds, on average. Default: 0.114."),
    ] = None,
    bias_std: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Its standard deviation. Default: 0.181.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of layers. Default: of the group with --model, else dense 11, cnn 22.",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=1, help="Height and width. Default: 50.")
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="How many random draws.")] = 8,
    filters: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Channels of the convolutions. Default: 512."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Take the distribution from this model; see `explain` for forms."
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which of its attention weights: semi-local, fully-local, fusion, …, or "
            "the address of a layer.",
        ),
    ] = None,
    output: Output = Path("kerasviz-simulate"),
    imports: Imports = None,
    debug: Debug = False,
) -> None:
    """Simulate how much attention weights can change what flows through a network.

    Random networks with and without attention on the same kernels, beside what is expected in
    closed form; print the means and the path of the page.
    """
    from kerasviz.cli.simulate import SimulateOptions, run_simulate

    options = SimulateOptions(
        kind=kind,
        multiplier_mean=multiplier_mean,
        multiplier_std=multiplier_std,
        bias_mean=bias_mean,
        bias_std=bias_std,
        depth=depth,
        size=size,
        seeds=seeds,
        filters=filters,
        model=model,
        group=group,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    run_simulate(options)


@study.command(name="initializers")
@one_line_errors
def study_initializers(
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="patches: of bundled photos. cifar10: downloaded by Keras. FILE.npz: arrays "
            "x_train, y_train, x_test, y_test, pictures (n, 32, 32, 3) in [0, 255] and classes "
            "from 0 to 9.",
        ),
    ] = "patches",
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Of each training.")] = 50,
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Trainings of each initializer.")
    ] = 3,
    num_train: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            min=1,
            help="Training samples. Default: 4096 patches; else all.",
        ),
    ] = None,
    output: Output = Path("kerasviz-initializers"),
    debug: Debug = False,
) -> None:
    """Train a small network from seven initializers; compare weights and features.

    Prints what was found and the path of the page.
    """
    from kerasviz.cli.study import InitializerOptions, run_initializers

    options = InitializerOptions(data, epochs, seeds, num_train, output, debug)
    run_initializers(options)


@study.command(name="receptive-fields")
@one_line_errors
def study_receptive_fields(
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            help="Such as 'kernel 9' or 'kernel 9, no bottleneck'; may be repeated. Default: "
            "kernels of 9, 7, 5 and 3, no bottleneck, activations, and pooling.",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="patches: of bundled photos. cifar10: downloaded by Keras. Or a .npz file with "
            "x_train, y_train, x_test, y_test.",
        ),
    ] = "patches",
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Of each training.")] = 20,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings of each variant.")] = 3,
    num_train: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            min=1,
            help="Training samples. Default: 4096 patches; all of cifar10.",
        ),
    ] = None,
    color: Annotated[bool, typer.Option("--color", help="Pictures in colour, not grey.")] = False,
    learning_rate: Annotated[float, typer.Option(metavar="X", min=0.0, help="Of Adam.")] = 1e-4,
    noise: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Fields on so many pictures of noise. Default: on grey."
        ),
    ] = None,
    pooling: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Of the variants that are not about pooling: none, late, everywhere, or early, "
            "which trains about seven times as fast as none.",
        ),
    ] = "none",
    output: Output = Path("kerasviz-receptive-fields"),
    debug: Debug = False,
) -> None:
    """Train variants of a small model of the visual system; describe their receptive fields.

    Prints what was found and the path of the page. Trainings are kept in the output folder as
    they end: the same command again, or with more seeds or variants, goes on from there.
    """
    from kerasviz.cli.study import FieldOptions, run_receptive_fields

    options = FieldOptions(
        variants=tuple(variants or ()),
        data=data,
        epochs=epochs,
        seeds=seeds,
        num_train=num_train,
        color=color,
        learning_rate=learning_rate,
        noise=noise,
        pooling=pooling,
        output=output,
        debug=debug,
    )
    run_receptive_fields(options)


@study.command(name="viewport")
@one_line_errors
def study_viewport(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="At least three image files. Default: photos."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="See `explain` for forms. Default: a small network, trained on patches of photos.",
        ),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH", help="Of the frame. Default: the model's own, else 120x160."
        ),
    ] = None,
    background: Annotated[
        str, typer.Option(metavar="NAME", help="grey, noise or texture.")
    ] = "grey",
    positions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of each picture at each distance.")
    ] = 12,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A layer to decode from; may be repeated. Default: up to twelve.",
        ),
    ] = None,
    preprocess: Preprocess = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed gives the same frames.")
    ] = 0,
    output: Output = Path("kerasviz-viewport"),
    imports: Imports = None,
    debug: Debug = False,
) -> bool:
    """Show pictures at positions and distances: how far are they known, and is known where?

    A picture's class is what the model answers for it alone. Prints what was found and the path of
    the page.
    """
    from kerasviz.cli.study_viewport import ViewportOptions, run_viewport

    options = ViewportOptions(
        images=images or (),
        model=model,
        frame=frame,
        background=background,
        positions=positions,
        layers=layer or (),
        preprocess=preprocess,
        seed=seed,
        output=output,
        imports=imports or (),
        debug=debug,
    )
    return run_viewport(options)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
