// The program `daguerre`: pictures and films from a prompt or a class, a look into model files, and how long
// things take.

#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace {

enum ExitCode { done = 0, failed = 1, wrong_use = 2 };

int fail(ExitCode code, std::string_view message) {
  std::fprintf(stderr, "daguerre: %s\n", daguerre::cli::one_line(message).c_str());
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

}  // namespace

int main(int argc, char** argv) {
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
      "--help, daguerre upscale --help, daguerre process --help, daguerre rewrite --help, daguerre bench --help, "
      "daguerre eval --help");
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
  daguerre::cli::add_eval(app);
  try {
    app.parse(arguments(argc, argv));
    if (std::fflush(stdout) != 0) return fail(failed, "standard output cannot be written");
    return done;
  } catch (const CLI::Success& request) {  // --help and --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    return fail(wrong_use, std::string(error.what()) + " (--help tells more)");
  } catch (const daguerre::Cancelled&) {
    return fail(failed, "stopped");
  } catch (const std::bad_alloc&) {
    return fail(failed, "out of memory");
  } catch (const std::exception& error) {
    return fail(failed, error.what());
  }
}
