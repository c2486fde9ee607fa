"""The panel of notebook 14: a relative of BERT beside BERT-base."""

import ipywidgets as ipw

from course_utils.classroom.controls import panel, table, wide


def relatives(members: dict[str, dict[str, int]]) -> ipw.VBox:
    """Choose a relative of BERT and a length: parameters, operations and longest text, beside BERT-base's.

    Args:
        members: for each name its "parameters", "layers_run" (layers that a text passes through) and
            "positions"; the first one is what the others are compared with. All have the hidden size of
            BERT-base.
    """
    member = ipw.Dropdown(options=list(members), value=list(members)[-1], description="Model")
    longest = max(sizes["positions"] for sizes in members.values())
    tokens = ipw.IntSlider(value=128, min=1, max=longest, description="Tokens", **wide(34))
    return panel(lambda member, tokens: relatives_html(members, member, tokens), member=member, tokens=tokens)


def relatives_html(
    members: dict[str, dict[str, int]], member: str, tokens: int, hidden_size: int = 768
) -> str:
    """One relative beside the first one, as a table; refuses a text longer than the relative takes."""
    base = next(iter(members))
    limit = members[member]["positions"]
    if tokens > limit:
        raise ValueError(f"{member} has positions for {limit} tokens; {tokens} do not fit.")

    def flops(name: str) -> int:
        of_a_layer = (
            24 * tokens * hidden_size**2 + 4 * tokens**2 * hidden_size
        )  # all matrix products of a layer
        return members[name]["layers_run"] * of_a_layer

    rows = [
        ["parameters (millions)", *(f"{members[name]['parameters'] / 1e6:.1f}" for name in (member, base))],
        ["layers run", *(members[name]["layers_run"] for name in (member, base))],
        ["GFLOP for this text", *(f"{flops(name) / 1e9:.2f}" for name in (member, base))],
        ["longest text", *(members[name]["positions"] for name in (member, base))],
    ]
    share = members[member]["parameters"] / members[base]["parameters"]
    caption = f"{member}: {share:.0%} of the parameters, {flops(member) / flops(base):.0%} of the operations"
    return table(["", member, base], rows, caption)
