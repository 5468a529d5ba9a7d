#pragma once

namespace CLI {
class App;
}

namespace daguerre::evaluation {
class ProcessGroup;
}

namespace daguerre::cli {

/// Adds the subcommand `txt2img`, which runs as soon as it has been parsed. Failures come out of
/// `CLI::App::parse`: a CLI::ParseError for wrong use, else what the library throws.
void add_txt2img(CLI::App& app);
/// Adds the subcommands `txt2vid`, `img2vid` and `vid2vid`, likewise.
void add_txt2vid(CLI::App& app);
void add_img2vid(CLI::App& app);
void add_vid2vid(CLI::App& app);
/// Adds the subcommand `class2img`, likewise.
void add_class2img(CLI::App& app);
/// Adds the subcommand `inspect`, likewise.
void add_inspect(CLI::App& app);
/// Adds the subcommand `convert`, likewise.
void add_convert(CLI::App& app);
/// Adds the subcommand `upscale`, likewise.
void add_upscale(CLI::App& app);
/// Adds the subcommand `process`, likewise.
void add_process(CLI::App& app);
/// Adds the subcommand `rewrite`, likewise.
void add_rewrite(CLI::App& app);
/// Adds the subcommand `bench`, likewise.
void add_bench(CLI::App& app);
/// Adds the subcommand `sample`, likewise, whose work the group's processes share.
void add_sample(CLI::App& app, evaluation::ProcessGroup& group);
/// Adds the subcommand `eval` with its own subcommands, likewise.
void add_eval(CLI::App& app, evaluation::ProcessGroup& group);
/// Adds the subcommands of `eval` that make pictures, and that of votes, likewise.
void add_eval_model(CLI::App& eval, evaluation::ProcessGroup& group);
void add_eval_compare(CLI::App& eval, evaluation::ProcessGroup& group);
void add_eval_votes(CLI::App& eval, evaluation::ProcessGroup& group);

}  // namespace daguerre::cli
