/** What `gatewayctl --help` prints. Generated; see documents.ts. */
export const topHelp = `An AI gateway run from the command line.  Usage: gatewayctl <command> [flags]

Access     key           Virtual keys: issue, limit, rotate, block
           team          Teams, their members and limits
           user          People and their roles
           org           Organizations that own teams
           customer      End users of your applications
           also          invitation, jwt
Money      budget        Budgets to share between keys, users and customers
           alert         What was told of budgets
           tag           Labels of calls, with budgets of their own
           spend         What was spent, by whom and on what
           prices        What models cost, and where that is from
           audit         Who changed what, and when
Routing    model         Models and the deployments behind them
           access-group  Names that let several models through at once
           credential    Providers' credentials
           passthrough   Routes handed on to a provider's own API
Daemon     callback      Where calls are reported
           top           Show who calls now, and what it costs
           crypto        Look after the encryption of credentials
           db            Look after the database
           migrate       Bring the database schema up to date
           serve         Run the daemon
           tail          Follow calls, refusals and errors as they happen
           also          cache, daemon
This tool  completion    Print the completion script of a shell
           version       Print the version, and where the gateway is looked for
           help          Explain a command or a topic
           explain       Say whether a key may make a call, and why

Learn more: gatewayctl help <command>, help exit-codes, man gatewayctl
Something wrong? Run it again with --debug and report what it says.
`;
