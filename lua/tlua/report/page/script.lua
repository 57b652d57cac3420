-- script.lua - the little that a page does by itself: tables and galleries are sorted, cells of a confusion say their
-- numbers to fingers, keys and screen readers, curves stand out. Without it nothing is missing but that. It asks nobody
-- for anything and keeps nothing.
return [==[
(function(){
var D=document;
function all(q,e){return Array.prototype.slice.call((e||D).querySelectorAll(q))}
function add(tag,to,text,cls){var e=D.createElement(tag);if(text!=null)e.textContent=text;if(cls)e.className=cls;if(to)to.appendChild(e);return e}
function value(c){var t=c?(c.dataset.v!=null?c.dataset.v:c.textContent):"",m=t.replace(/,(?=\d{3})/g,"").match(/^\s*[-+\u2212]?\d+(\.\d+)?(e[-+]?\d+)?/i);
return m?parseFloat(m[0].replace("\u2212","-")):null}
function order(a,b,down){var x=a[0],y=b[0],d;
if(x==null&&y==null)d=a[1].localeCompare(b[1]);else if(x==null)return 1;else if(y==null)return -1;else d=x-y;
return (down?-d:d)||a[2]-b[2]}
all("table.sorts").forEach(function(t){
var head=t.rows[0],live=add("span",null,"","hidden");live.setAttribute("aria-live","polite");t.parentNode.appendChild(live);
Array.prototype.forEach.call(head.cells,function(h,k){
var b=D.createElement("button");b.type="button";while(h.firstChild)b.appendChild(h.firstChild);h.appendChild(b);
b.addEventListener("click",function(){
var down=h.getAttribute("aria-sort")==="descending"?false:h.getAttribute("aria-sort")==="ascending"?true:h.dataset.first!=="up";
var rows=all("tr",t.tBodies[0]).filter(function(r){return r.parentNode===t.tBodies[0]&&r!==head&&!r.classList.contains("mean")});
var last=all("tr.mean",t.tBodies[0]);
var keys=rows.map(function(r,i){var c=r.cells[k];return[value(c),c?c.textContent:"",i,r]});
var words=keys.every(function(x){return x[0]==null});if(words&&!h.getAttribute("aria-sort"))down=false;
keys.sort(function(a,b){return order(a,b,down)});
keys.forEach(function(x){t.tBodies[0].appendChild(x[3])});last.forEach(function(r){t.tBodies[0].appendChild(r)});
all("th",head).forEach(function(x){x.removeAttribute("aria-sort")});
h.setAttribute("aria-sort",down?"descending":"ascending");
live.textContent="sorted by "+b.textContent+(down?", falling":", rising")})})});
all("[data-sorts]").forEach(function(g,n){
var figures=all("figure",g).filter(function(f){return f.parentNode===g}),p=D.createElement("p"),l=add("label",p,"Sorted by "),s=add("select",l);
p.className="soft tool";add("option",s,"as it is").value="";
g.dataset.sorts.split(";").forEach(function(o){var k=o.split("=");add("option",s,k[1]).value=k[0]});
g.parentNode.insertBefore(p,g);
s.addEventListener("change",function(){
var k=s.value,list=figures.map(function(f,i){var v=k?f.dataset[k]||"":"";return[k&&v!==""&&!isNaN(v)?+v:null,v,i,f]});
if(k)list.sort(function(a,b){return order(a,b,false)});
list.forEach(function(x){g.appendChild(x[3])})})});
all("table.matrix").forEach(function(t){
var said=add("p",null,"A cell says its share when it is touched; arrow keys go from cell to cell.","said soft"),w=t.closest(".wide")||t;
said.setAttribute("role","status");w.parentNode.insertBefore(said,w.nextSibling);
t.setAttribute("role","grid");var cells=all("td",t);if(!cells.length)return;
cells.forEach(function(c){c.tabIndex=-1;c.setAttribute("role","gridcell")});cells[0].tabIndex=0;var now=cells[0];
function text(c){return c.title||"none of "+c.parentNode.cells[0].textContent+" taken for "+t.rows[0].cells[c.cellIndex].textContent}
function go(c){now.tabIndex=-1;now=c;c.tabIndex=0;said.textContent=text(c)}
t.addEventListener("focusin",function(e){var c=e.target.closest("td");if(c)go(c)});
t.addEventListener("pointerover",function(e){var c=e.target.closest("td");if(c)said.textContent=text(c)});
t.addEventListener("keydown",function(e){var c=e.target.closest("td");if(!c)return;
var r=c.parentNode.rowIndex,k=c.cellIndex,to={ArrowLeft:[r,k-1],ArrowRight:[r,k+1],ArrowUp:[r-1,k],ArrowDown:[r+1,k],Home:[r,1],End:[r,c.parentNode.cells.length-1]}[e.key];
if(!to)return;e.preventDefault();var row=t.rows[to[0]],x=row&&row.cells[to[1]];if(x&&x.tagName==="TD")x.focus()})});
all(".map").forEach(function(f){
var data=JSON.parse(f.querySelector("script").textContent),img=f.querySelector("img"),n=data.names.length,said=f.querySelector(".said"),spot=f.querySelector(".spot"),at={},list=[],k;
for(k=0;k<data.cells.length;k+=3){var i=data.cells[k],j=data.cells[k+1];at[i*n+j]=data.cells[k+2];if(i!==j)list.push([i,j])}
var box=f.querySelector(".mapped"),now=-1;box.tabIndex=0;
function show(i,j){var v=at[i*n+j]||0,s=data.support[i];
said.textContent=v+" of "+s+" "+data.names[i]+(i===j?" recognised":" taken for "+data.names[j])+(s?", "+(100*v/s).toFixed(1)+" %":"");
spot.style.cssText="display:block;left:"+100*(j+.5)/n+"%;top:"+100*(i+.5)/n+"%"}
function near(i,j){var r=Math.max(1,Math.ceil(n/150)),best=null,d,a,b;
for(a=-r;a<=r;a++)for(b=-r;b<=r;b++){var y=i+a,x=j+b;if(x<0||y<0||x>=n||y>=n||!at[y*n+x])continue;
d=a*a+b*b;if(!best||d<best[2])best=[y,x,d]}return best||[i,j]}
function point(e){var b=img.getBoundingClientRect(),j=Math.floor((e.clientX-b.left)/b.width*n),i=Math.floor((e.clientY-b.top)/b.height*n);
if(i>=0&&j>=0&&i<n&&j<n){var p=near(i,j);show(p[0],p[1])}}
box.addEventListener("pointermove",point);box.addEventListener("pointerdown",point);
box.addEventListener("keydown",function(e){var d={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key];
if(e.key==="Home"){now=0}else if(e.key==="End"){now=list.length-1}else if(d)now=Math.min(list.length-1,Math.max(0,now+d));else return;
e.preventDefault();if(list[now])show(list[now][0],list[now][1])})});
all(".key[data-k]").forEach(function(l){var svg=l.closest("figure").querySelector("svg"),g=svg.querySelector('g[data-k="'+l.dataset.k+'"]');if(!g)return;
function on(v){svg.classList.toggle("one",v);g.classList.toggle("on",v)}
["pointerenter","focus"].forEach(function(x){l.addEventListener(x,function(){on(true)})});
["pointerleave","blur"].forEach(function(x){l.addEventListener(x,function(){on(false)})})});
})();
]==]
