// The editor: CodeMirror with Python, and the mark of an error's line.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
} from "@codemirror/view";
import { tags as t } from "@lezer/highlight";

// Colours are variables of app.css, so that the theme is there alone.
const colours = HighlightStyle.define([
  { tag: [t.keyword, t.controlKeyword, t.definitionKeyword, t.moduleKeyword, t.operatorKeyword], color: "var(--hl-keyword)" },
  { tag: [t.string, t.special(t.string)], color: "var(--hl-string)" },
  { tag: [t.number, t.bool, t.null], color: "var(--hl-number)" },
  { tag: t.comment, color: "var(--hl-comment)", fontStyle: "italic" },
  { tag: [t.function(t.variableName), t.function(t.definition(t.variableName))], color: "var(--hl-function)" },
  { tag: [t.className, t.definition(t.className)], color: "var(--hl-class)" },
  { tag: t.meta, color: "var(--hl-class)" },
]);

const setFaultyLine = StateEffect.define();
const faultyLine = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    marks = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setFaultyLine)) {
        marks = effect.value === null
          ? Decoration.none
          : Decoration.set([Decoration.line({ class: "faulty-line" }).range(effect.value)]);
      }
    }
    return marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

// typeOver replaces a selection by what is typed. Chromium would do it with
// elements that have style attributes, which the policy forbids, where lines
// are joined. A composition cannot be kept from it.
function typeOver(event, view) {
  const { from, to, empty } = view.state.selection.main;
  if (event.inputType !== "insertText" || !event.data || empty || event.isComposing || view.composing) return false;
  event.preventDefault();
  const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  // First those that want the text, as for brackets around a selection.
  if (!view.state.facet(EditorView.inputHandler).some((takes) => takes(view, from, to, event.data, insert))) view.dispatch(insert());
  return true;
}

// newEditor fills parent. run is called by Ctrl+Enter.
export function newEditor(parent, nonce, run) {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        nonce ? EditorView.cspNonce.of(nonce) : [],
        keymap.of([{ key: "Mod-Enter", run: () => (run(), true) }]),
        lineNumbers(), highlightActiveLineGutter(), lintGutter(), history(), drawSelection(), indentOnInput(),
        bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(), search({ top: true }),
        indentUnit.of("    "), python(), syntaxHighlighting(colours), faultyLine,
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...searchKeymap, indentWithTab]),
        EditorView.domEventHandlers({ beforeinput: typeOver }),
        EditorView.contentAttributes.of({ "aria-label": "Python script", spellcheck: "false", tabindex: "0" }),
        EditorView.theme({ "&": { height: "100%" }, ".cm-scroller": { fontFamily: "var(--mono)" } }),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    setText(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 } });
      clear(view);
    },
    focus: () => view.focus(),
    clear: () => clear(view),
    mark: (error) => mark(view, error),
    goTo(number) {
      if (number <= view.state.doc.lines) {
        view.dispatch({ selection: { anchor: view.state.doc.line(number).from }, scrollIntoView: true });
        view.focus();
      }
    },
  };
}

function clear(view) {
  view.dispatch(setDiagnostics(view.state, []), { effects: setFaultyLine.of(null) });
}

// mark shows an error of the server at its line, with its hint.
function mark(view, { line, column, message, hint }) {
  if (!Number.isInteger(line) || line < 1 || line > view.state.doc.lines) return;
  const at = view.state.doc.line(line);
  const blanks = at.text.length - at.text.trimStart().length;
  let from = at.from + blanks;
  if (Number.isInteger(column) && column >= 1 && column <= at.length) {
    // The server counts characters, as Python does; the editor counts UTF-16.
    from = at.from + [...at.text].slice(0, column - 1).join("").length;
  }
  view.dispatch(setDiagnostics(view.state, [{
    from, to: Math.max(from, at.to), severity: "error", message: hint ? `${message}\n${hint}` : message,
  }]), { effects: [setFaultyLine.of(at.from), EditorView.scrollIntoView(at.from, { y: "nearest" })] });
}
