from .block_sessions import BlockSessions as BlockSessions
from .counts import Counts as Counts
from .member import Member as Member
from .member import MemberReport as MemberReport
from .member import work_as_member as work_as_member
from .parent import Lead as Lead
from .parent import StartMembers as StartMembers
from .parent import lead_members as lead_members
