// A person's way through the dashboard, in Chromium, against real processes. The tests of each page stand in a file of their own; they run in this order,
// on one daemon: the first ones leave a board, a supernet and a search, which the others look at.
import './dashboard/first-search.mjs';
import './dashboard/scatter.mjs';
import './dashboard/candidates.mjs';
import './dashboard/search-page.mjs';
import './dashboard/supernet.mjs';
import './dashboard/new-search.mjs';
import './dashboard/searches.mjs';
import './dashboard/imported.mjs';
import './dashboard/network.mjs';
import './dashboard/ways.mjs';
import './dashboard/together.mjs';
import './dashboard/devices.mjs';
import './dashboard/keyboard.mjs';
import './dashboard/reloads.mjs';
import './dashboard/jobs-and-models.mjs';
import './dashboard/overview.mjs';
import './dashboard/theme.mjs';
import './dashboard/report.mjs';
import './dashboard/failures.mjs';
import './dashboard/every-page.mjs';
