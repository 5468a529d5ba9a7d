// The program `daguerre`: pictures and films from a prompt or a class, how good they are, a look into model
// files, and how long things take.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/evaluation/process_group.hpp>

#include "commands.hpp"
#include "mpi_process_group.hpp"
#include "text.hpp"

namespace {

enum ExitCode { done = 0, failed = 1, wrong_use = 2 };

int fail(ExitCode code, std::string_view message, int rank = 0) {
  std::string who = "daguerre: ";
  if (rank > 0) {
    // What is wrong for all is said by rank 0, which then ends all.
    std::this_thread::sleep_for(std::chrono::seconds(2));
    who += "rank " + std::to_string(rank) + ": ";
  }
  std::fprintf(stderr, "%s%s\n", who.c_str(), daguerre::cli::one_line(message).c_str());
  return code;
}

/// The arguments, the last one first, as CLI11 wants them. It would take the argument that follows "--name="
/// for the value; a value that is nothing is an argument of its own.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> result;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    const bool has_empty_value = argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    if (has_empty_value) {
      argument.pop_back();
      result.emplace_back();
    }
    result.push_back(std::move(argument));
  }
  return result;
}

/// Breaks descriptions into lines that fit beside the names of the options.
class WrappingFormatter : public CLI::Formatter {
  std::string make_option_desc(const CLI::Option* option) const override {
    constexpr std::size_t width = 80;
    std::istringstream words(option->get_description());
    std::string text, word;
    for (std::size_t column = 0; words >> word; column += word.size() + 1) {
      const bool breaks = column + word.size() > width;
      if (!text.empty()) text += breaks ? '\n' : ' ';
      if (breaks) column = 0;
      text += word;
    }
    return text;
  }
};

/// Commands that are of no use in many processes: each would do the whole of it.
void refuse_in_groups(CLI::App& app, const daguerre::evaluation::ProcessGroup& group) {
  constexpr std::array sharing{"sample", "eval"};
  if (group.size() == 1) return;
  for (auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (std::find(sharing.begin(), sharing.end(), command->get_name()) == sharing.end())
      command->preparse_callback([name = command->get_name(), size = group.size()](std::size_t) {
        throw CLI::ValidationError(name, "does not share its work out among " + std::to_string(size) +
                                             " processes; sample and eval do");
      });
}

int run(int argc, char** argv, daguerre::evaluation::ProcessGroup& group) {
  CLI::App app("Makes pictures and films with latent diffusion models.", "daguerre");
  app.set_version_flag("--version", std::string("daguerre ") + daguerre::version(), "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  const auto formatter = std::make_shared<WrappingFormatter>();
  formatter->column_width(34);
  app.formatter(formatter);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done, 1 failed (one line says what and where), 2 wrong use.\n"
      "See also: daguerre txt2img --help, daguerre txt2vid --help, daguerre class2img --help, daguerre "
      "inspect --help, daguerre "
      "convert "
      "--help, daguerre upscale --help, daguerre process --help, daguerre rewrite --help, daguerre bench "
      "--help, daguerre sample --help, daguerre eval --help");
  daguerre::cli::add_txt2img(app);
  daguerre::cli::add_txt2vid(app);
  daguerre::cli::add_img2vid(app);
  daguerre::cli::add_vid2vid(app);
  daguerre::cli::add_class2img(app);
  daguerre::cli::add_inspect(app);
  daguerre::cli::add_convert(app);
  daguerre::cli::add_upscale(app);
  daguerre::cli::add_process(app);
  daguerre::cli::add_rewrite(app);
  daguerre::cli::add_bench(app);
  daguerre::cli::add_sample(app, group);
  daguerre::cli::add_eval(app, group);
  refuse_in_groups(app, group);
  const int rank = group.rank();
  try {
    app.parse(arguments(argc, argv));
    if (std::fflush(stdout) != 0) return fail(failed, "standard output cannot be written", rank);
    return done;
  } catch (const CLI::Success& request) {  // --help and --version
    return rank == 0 ? app.exit(request) : static_cast<int>(done);
  } catch (const CLI::ParseError& error) {
    return fail(wrong_use, std::string(error.what()) + " (--help tells more)", rank);
  } catch (const daguerre::Cancelled&) {
    return fail(failed, "stopped", rank);
  } catch (const std::bad_alloc&) {
    return fail(failed, "out of memory", rank);
  } catch (const std::exception& error) {
    return fail(failed, error.what(), rank);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<daguerre::evaluation::ProcessGroup> group;
  try {
    group = daguerre::cli::started_processes();
  } catch (const std::exception& error) {
    return fail(failed, error.what());
  }
  const int status = run(argc, argv, *group);
  if (status != done) daguerre::cli::end_all(*group, status);
  return status;
}
