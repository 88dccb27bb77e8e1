"""What the generated sessions' people, sub-agents and tools say. People's words by true role."""

from __future__ import annotations

from collections.abc import Mapping

from config.schema import Role

OPENING: Mapping[Role, tuple[str, ...]] = {
    "memory_fast": tuple(
        """\
what was I doing here last
where do we stand with the invoice export?
read the memory bank first, then tell me in three lines what is open
which python version does this need
did we settle on cursor or offset paging?
what's the name of the env var for the smtp host again
who calls normalise_phone at the moment
is there already an index on orders.customer_id?
what does the 'stale' flag in the cache table mean
which of the tasks in progress.md are done
change the footer year to 2026
in README replace 'npm start' by 'npm run dev'
bump the version to 1.4.2
delete the empty line at the end of styles.css
rename the heading 'Setup' to 'Getting started' in docs/install.md
what port does the metrics endpoint listen on?
list the routes we have under /admin
is the staging deploy still blocked?
give me the command to run only the parser tests
how do I start the worker locally
what did the last entry in activeContext.md say
was steht laut progress.md als Nächstes an?
qué versión de node usamos
set the log level in compose.yml to debug
flip FEATURE_TRIAL to true in .env.sample
in two sentences: what does this repository do
add '.coverage' to the gitignore
what licence is the charts package under
does anything still import moment?
where is the retry limit defined
which branch are we on and is it clean
add a TODO above parse_header saying it ignores folded lines
""".splitlines()
    ),
    "implementation": tuple(
        """\
write a parser for the bank's MT940 files with tests
the checkout total is off by one cent for some carts, find out why and mend it
make the upload resumable, chunks of 5 MB
TypeError: cannot read properties of undefined (reading 'lines') when I open an empty draft
add optimistic locking to the article editor
pull the mail sending out of UserService into a class of its own
the websocket reconnects in a tight loop when the token has expired
cover services/pricing.py with tests, the discount branches above all
replace the hand-written date maths in report.ts by date-fns
we need a rate limiter on /login, 5 tries a minute per address
convert the callbacks in importer.js to async/await
add a dark mode switch to the settings page and keep the choice
pytest says 3 failed in test_calendar.py since I merged main
get rid of the N+1 queries on the order list
KeyError: 'vat_id' at billing/export.py line 88, only for customers from before 2021
add a --dry-run option to the migration script
implement soft delete for projects, api and ui
write the endpoint that returns a month's shifts grouped by employee
types: mypy reports 14 errors in adapters/, make it pass without ignores
drag and drop of rows in the table does nothing in Safari
port the thumbnail job from cron to the queue worker
the search box fires a request at every key press, debounce it
baue eine Seitennavigation für die Kundenliste ein
corrige el fallo: el botón de guardar se queda deshabilitado
split the 900-line App.vue into components without changing what it does
add csv import with validation errors shown per line
cache the exchange rates for an hour, with a test that moves the clock
memory of the worker grows by 30 MB an hour, find the leak
docker build fails at the pip step: no matching distribution for psycopg
add an audit table and write to it wherever a role is changed
make Money immutable and have add() check the currency
the pdf has no umlauts, fonts probably
""".splitlines()
    ),
    "memory_analysis": tuple(
        """\
go through the whole code base and tell me where the layers are violated
should we split the billing part into a service of its own? weigh it up
plan the move from MySQL to Postgres, with a way back at each step
update the memory bank with everything we did today
write the project brief and system patterns from what is in the repo
compare event sourcing and plain tables for our audit needs
review our auth concept end to end, what would an attacker try first
I want multi-tenancy next quarter. how would you stage it and what breaks?
which modules know too much of each other, and what would you do about it
design the sync between the mobile client and the server, conflicts included
draw up a plan for taking jQuery out, page by page
analyse why our releases keep slipping, look at the changelog and the open tasks
initialize the memory bank for this project
think through how permissions should work across organisations before we touch code
what are the biggest risks in this code base if we grow tenfold?
we have three ways of caching here. which should stay, and how do we get there
propose a folder structure for the monorepo and argue for it
make a roadmap out of the open issues, with dependencies
is our choice of websockets over polling still right, given the new mobile app?
assess the test suite as a whole: what does it not protect us from
document the architecture in systemPatterns.md, decisions and their reasons
plane den Umbau der Rechteverwaltung, noch keinen Code
revisa la arquitectura completa y dime qué simplificarías
how would you get the data model from one warehouse to many, step by step, no code yet
evaluate the two payment providers against our requirements document
look over everything we decided on the importer and tell me whether it still hangs together
what would it take to run this without the cloud? an honest assessment please
think about the failure modes of the nightly job and propose a better design
rewrite productContext.md, it describes the product of a year ago
before we start: break the redesign down into steps that can each be shipped
""".splitlines()
    ),
}

FOLLOWING: Mapping[Role, tuple[str, ...]] = {
    "memory_fast": tuple(
        """\
and the one before that?
ok, and which file is it in
thanks. anything else open?
same for the german version
shorter please
""".splitlines()
    ),
    "implementation": tuple(
        """\
still red
go on
no, the other function
now it fails with ConnectionResetError
good, the same for the supplier form
and a test for it
yes, do it
that broke the login page
use a dataclass instead
undo the last edit and try it without the regex
""".splitlines()
    ),
    "memory_analysis": tuple(
        """\
and what speaks against it?
go deeper into the second risk
what if we only had one developer for it
you forgot the reporting side, think again
write that down as a decision with the alternatives
""".splitlines()
    ),
}

# After a plan, these words start the work: the job changes although nothing else is named.
STARTING_WORK = (
    "ok, start with the first step",
    "good plan. implement it",
    "let's do it, beginning with the schema",
    "fine, build step 1",
)

SUB_AGENT_TASKS = (
    "Find every place that reads the session cookie and list file and line.",
    "Summarize what the modules under src/jobs do, one line each.",
    "Find out which tests cover the refund flow.",
    "Collect all environment variables the code reads, with defaults.",
    "Check how errors are mapped to HTTP statuses and report the exceptions.",
)

TOOL_RESULTS = (
    "[read_file for 'src/orders/total.py'] Result:\n1 | from decimal import Decimal\n2 | def total(lines):",
    "[execute_command for 'pytest -q'] Result:\nOutput:\n3 failed, 41 passed in 6.20s\nE   assert 9.99 == 10.00",
    '[{"query":"/home/dev/shop/progress.md","result":"# Progress\\n- [ ] export","success":true}]',
    "[search_files for 'normalise_phone'] Result:\nFound 4 results.\nsrc/crm/phone.py\n| def normalise_phone(text):",
    "[list_files for 'src'] Result:\nsrc/app.ts\nsrc/api/routes.ts\nsrc/api/auth.ts\nsrc/db/schema.sql",
    "[replace_in_file for 'src/api/auth.ts'] Result:\nThe content was successfully saved.",
    '{"query":"git --no-pager status --short","result":" M src/api/auth.ts\\n","success":true}',
    "[execute_command for 'npm run build'] Result:\nCommand executed (exit code 0).\nOutput:\nbuilt in 3.1s",
    "[read_file for 'docs/architecture.md'] Result:\n1 | # Architecture\n3 | The service has three layers.",
    "[execute_command for 'npm test'] Result:\nTypeError: price is not a function\n at cart.ts:41",
    "[write_to_file for 'tests/test_export.py'] Result:\nThe content was successfully saved to tests/test_export.py.",
    '[{"query":"/home/dev/shop/package.json","result":"{ \\"version\\": \\"1.4.1\\" }","success":true}]',
)
