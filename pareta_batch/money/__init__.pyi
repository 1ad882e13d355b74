from .account import Account
from .budget import Budget, BudgetGate, Reservation, micro_usd
from .cost_fields import EXTRA_BODY, most_answer_tokens, unbounded
from .cost_forecast import forecast
from .cost_range import CostQuote, CostRange
from .format import budget_dollars, dollars, money_notes
from .leaderboard import fetch_leaderboard
from .prices import NO_PRICES, Answered, Prices

__all__ = [
    "EXTRA_BODY",
    "NO_PRICES",
    "Account",
    "Answered",
    "Budget",
    "BudgetGate",
    "CostQuote",
    "CostRange",
    "Prices",
    "Reservation",
    "budget_dollars",
    "dollars",
    "fetch_leaderboard",
    "forecast",
    "micro_usd",
    "money_notes",
    "most_answer_tokens",
    "unbounded",
]
