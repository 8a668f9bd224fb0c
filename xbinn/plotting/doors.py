"""``ds.binn.plot`` and ``model.plot``: each method is the figure of its name, data put first."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from xbinn.model import Model
from xbinn.parameters import Prior
from xbinn.plotting.depths import plot_profiles
from xbinn.plotting.elasticities import plot_elasticities
from xbinn.plotting.functions import plot_functions
from xbinn.plotting.maps import plot_map, plot_processes
from xbinn.plotting.posteriors import plot_posteriors
from xbinn.plotting.training import plot_training
from xbinn.plotting.uncertainty import plot_uncertainty


class DatasetPlots:
    """Figures of what a Dataset holds; keeps no state.

    Parameters
    ----------
    ds : Dataset
        Inputs, or a result of xbinn.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._obj = ds

    def map(
        self,
        name: str,
        *,
        cmap: str | None = None,
        limits: tuple[float, float] | None = None,
        log: bool | None = None,
        ax: Axes | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure | Axes:
        """Map the field of this name, see `xbinn.plotting.plot_map`."""
        return plot_map(
            self._obj[name],
            cmap=cmap,
            limits=limits,
            log=log,
            ax=ax,
            title=title,
            caption=caption,
        )

    def processes(
        self,
        *,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure:
        """Map the eight processes, see `xbinn.plotting.plot_processes`."""
        return plot_processes(self._obj, figure=figure, title=title, caption=caption)

    def uncertainty(
        self,
        name: str = "cSoilAbove1m",
        *,
        applicability: xr.Dataset | None = None,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure:
        """Map a mean beside its spread, see `xbinn.plotting.plot_uncertainty`."""
        return plot_uncertainty(
            self._obj,
            name,
            applicability=applicability,
            figure=figure,
            title=title,
            caption=caption,
        )

    def profiles(
        self,
        profiles: xr.Dataset,
        *,
        most: int = 6,
        ax: Axes | None = None,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure | Axes:
        """Draw profiles by depth over what is modelled, see `xbinn.plotting.plot_profiles`."""
        return plot_profiles(
            profiles, self._obj, most=most, ax=ax, figure=figure, title=title, caption=caption
        )

    def posteriors(
        self,
        *,
        prior: Prior,
        parameter: str | None = None,
        ax: Axes | None = None,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure | Axes:
        """Draw posteriors over priors at one place, see `xbinn.plotting.plot_posteriors`."""
        return plot_posteriors(
            self._obj,
            prior=prior,
            parameter=parameter,
            ax=ax,
            figure=figure,
            title=title,
            caption=caption,
        )

    def elasticities(
        self,
        *,
        ax: Axes | None = None,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure | Axes:
        """Draw elasticities by depth, see `xbinn.plotting.plot_elasticities`."""
        return plot_elasticities(self._obj, ax=ax, figure=figure, title=title, caption=caption)


class ModelPlots:
    """Figures of a fitted model.

    Parameters
    ----------
    model : Model
        From `xbinn.fit` or `xbinn.load`.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def training(
        self,
        *,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure:
        """Draw losses and scores by epoch, see `xbinn.plotting.plot_training`."""
        return plot_training(self._model.history, figure=figure, title=title, caption=caption)

    def functions(
        self,
        parameter: str,
        *,
        most: int = 9,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        caption: str | None = None,
    ) -> Figure:
        """Draw what a spline encoder has learnt, see `xbinn.plotting.plot_functions`."""
        return plot_functions(
            self._model, parameter, most=most, figure=figure, title=title, caption=caption
        )
