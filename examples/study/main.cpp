// The program `emoji_study`: what examples/models/emoji makes, shown and measured.

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Shows and measures what a small text-to-image model makes.", "emoji_study");
  app.require_subcommand(1);
  daguerre::study::add_sheet(app);
  daguerre::study::add_nearest(app);
  daguerre::study::add_best_of(app);
  daguerre::study::add_floor(app);
  daguerre::study::add_convergence(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& request) {  // --help
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "emoji_study: %s (--help tells more)\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "emoji_study: %s\n", error.what());
    return 1;
  }
}
