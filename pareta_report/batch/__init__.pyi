from .accounting import account as account
from .answers import answers_table as answers_table
from .answers import result_columns as result_columns
from .quality import batch_measured_quality as batch_measured_quality
from .rows import shown_rows as shown_rows
from .truth import label_of as label_of
