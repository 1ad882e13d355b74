from .counts import Counts
from .member import Member, MemberReport, work_as_member
from .parent import Lead, StartMembers, lead_members

__all__ = ["Counts", "Lead", "Member", "MemberReport", "StartMembers", "lead_members", "work_as_member"]
