"""Where artifacts live: in this machine's data folder, or in a store that machines share, with local copies of it.

All other code reads and writes folders under the data folder. Around that it tells a :class:`Storage` what it is going
to read, what it has finished, and what is to go; in the embedded form nothing has to be done about it.
"""

from models_store.storage.local import LOCAL, LocalStorage
from models_store.storage.opening import opened
from models_store.storage.protocol import Storage, Take

__all__ = ["LOCAL", "LocalStorage", "Storage", "Take", "opened"]
