public import Tally
