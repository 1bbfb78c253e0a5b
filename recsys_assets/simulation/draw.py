"""Weighted draws from many groups at once, such as one book from each reader's shelf.

It knows weights and groups only; what the groups stand for is the caller's.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.rows import Floats, Ints


@dataclass(frozen=True)
class GroupedDraw:
    """Members of groups, laid out so that one binary search draws from any group by weight.

    Attributes:
        members: Shape (members,), those with any weight, sorted by group.
        starts: Shape (groups + 1,): where each group begins in `members`.
        cumulative: Shape (members + 1,): sum of the weights before each place in `members`.
    """

    members: Ints
    starts: Ints
    cumulative: Floats

    @classmethod
    def by(cls, group: Ints, groups: int, weight: Floats) -> "GroupedDraw":
        """Lay out the members 0, 1, 2, ... for drawing.

        Args:
            group: Shape (members,), the group of each member.
            groups: How many groups there are; some may be empty.
            weight: Shape (members,), not negative; a weight of 0 is never drawn.
        """
        weighted = np.flatnonzero(weight > 0)
        members = weighted[np.argsort(group[weighted], kind="stable")]
        starts = np.searchsorted(group[members], np.arange(groups + 1))
        return cls(members, starts, np.concatenate(([0.0], np.cumsum(weight[members]))))

    def one_of_each(self, group: Ints, rng: np.random.Generator) -> Ints:
        """Draw one member from each of the given groups.

        Args:
            group: Shape (draws,).
            rng: Source of chance; it is asked for exactly one number per draw.

        Returns:
            Shape (draws,): the members drawn, -1 where no member of a group has any weight.
        """
        chance = rng.random(len(group))
        if not len(self.members):
            return np.full(len(group), -1)
        begin, end = self.starts[group], self.starts[group + 1]
        low, high = self.cumulative[begin], self.cumulative[end]
        place = np.searchsorted(self.cumulative, low + chance * (high - low), side="right") - 1
        # Rounding can carry a draw past the last member of its group.
        place = np.minimum(place, end - 1)
        return np.where(begin < end, self.members[place], -1)
